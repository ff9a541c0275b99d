"""What statsmodels' results offer and models with factors can't answer correctly: refused, with a way out."""

from __future__ import annotations

from typing import Any, NoReturn

from gifepanel.exceptions import SpecificationError

__all__ = ["RefusedMethods", "RefusedWithLearner"]


def _refuse(name: str, why: str, instead: str) -> NoReturn:
    raise SpecificationError(f"{name} is not available for models with factors or absorbed effects.", why, instead)


class RefusedMethods:
    """Mixed in before statsmodels' class, so that nothing wrong is inherited."""

    def get_prediction(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: its intervals would leave out effects and factors; :meth:`impute` has those with them."""
        _refuse("get_prediction", "Its intervals would leave out effects and factors.", "res.impute(data)")

    def t_test_pairwise(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: it needs the coding of terms by patsy."""
        _refuse("t_test_pairwise", "It needs terms coded by patsy.", 'res.t_test("a = b, a = c, b = c")')

    def compare_lm_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the scores of a smaller model are at other factors."""
        _refuse("compare_lm_test", "The factors of the two models differ.", 'res.f_test("a = b = 0")')

    def get_influence(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: estimated factors have no leverages."""
        _refuse("get_influence", "Estimated factors have no leverages.", "res.to_statsmodels(dummies=True)")

    def outlier_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: estimated factors have no leverages."""
        _refuse("outlier_test", "Estimated factors have no leverages.", "res.resid, res.membership")

    def _no_leverage(self) -> NoReturn:
        _refuse("A covariance with leverages (HC2, HC3)", "Estimated factors have none.", 'cov_type="HC1"')

    cov_HC2 = property(_no_leverage)
    cov_HC3 = property(_no_leverage)
    HC2_se = property(_no_leverage)
    HC3_se = property(_no_leverage)


_SCORE = "Coefficients and covariance come from an orthogonal score, not from least squares on one design."


def _refuse_with_learner(name: str, instead: str) -> NoReturn:
    raise SpecificationError(f"{name} is not available with a learner.", _SCORE, instead)


class RefusedWithLearner:
    """Mixed in before the results of partialled-out least squares: what only a linear nuisance part can answer."""

    def get_prediction(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: learners have no sampling variances."""
        _refuse_with_learner("get_prediction", "res.predict()")

    def get_influence(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: learners have no leverages."""
        _refuse_with_learner("get_influence", "res.orthogonal.influence")

    def outlier_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: learners have no leverages."""
        _refuse_with_learner("outlier_test", "res.resid")

    def wild_bootstrap(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: it draws the outcome of a linear regression."""
        _refuse_with_learner("wild_bootstrap", 'model.fit(cov_type="cluster")')

    def test_absorbed(self) -> NoReturn:
        """Refused: the model without effects has other nuisance functions."""
        _refuse_with_learner("test_absorbed", 'res.f_test("x1 = 0")')

    def compare_f_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: sums of squares of two fits with learners are not nested."""
        _refuse_with_learner("compare_f_test", 'res.f_test("x1 = 0")')

    def compare_lm_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: sums of squares of two fits with learners are not nested."""
        _refuse_with_learner("compare_lm_test", 'res.wald_test("x1 = 0")')

    def compare_lr_test(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the likelihoods of two fits with learners are not nested."""
        _refuse_with_learner("compare_lr_test", 'res.wald_test("x1 = 0")')

    def _heteroskedastic(self, kind: str) -> NoReturn:
        _refuse_with_learner(f"cov_{kind}", f'model.fit(cov_type="{kind}")')
