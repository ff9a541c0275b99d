"""Are additive effects enough? Slopes of a fit with factors against those with additive effects in their place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.additive import HausmanKind, hausman
from gifepanel.inference.space import factor_space, project
from gifepanel.inference.testresult import TestResult
from gifepanel.projections.tangent import TangentSpace
from gifepanel.solvers.cell_descent import state_without_factors
from gifepanel.solvers.cells import cells_of
from gifepanel.tables.blocks import Block, Notes, Pairs, Table
from gifepanel.tables.coefficients import number, probability, ratio
from gifepanel.tables.printed import Printed

if TYPE_CHECKING:
    from gifepanel.inference.estimate import FactorEstimate
    from gifepanel.results.inputs import Inference

    class _Parent:
        model: Any
        n_groups: int
        n_factors: int
        cov_type: str
        _inference: Inference | None

        @property
        def _names(self) -> list[str]: ...
        @property
        def _estimate(self) -> FactorEstimate: ...

else:
    _Parent = object

__all__ = ["AdditiveTest", "AdditiveTestMethods"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_RELATIVE = 1e-7
_WORDS = {"entity": "entity effects", "time": "time effects", "both": "entity and time effects"}
_KINDS = {"nonrobust": "independent, one variance", "HC1": "independent, HC1", "cluster": "clustered by entity"}


@dataclass(frozen=True, eq=False, repr=False)
class AdditiveTest(Printed, TestResult):
    """The Hausman test of additive effects, with the slopes it compares; text, HTML, LaTeX and Markdown.

    Attributes
    ----------
    name : str
    statistic : float
    pvalue : float
    df : float
        Number of slopes compared.
    distribution : str
    null : str
        The null hypothesis, in words.
    note : str
    slopes : DataFrame
        By coefficient: ``interactive``, ``additive``, their ``difference``, its ``se`` and ``pvalue``.
    errors : str
        What errors may be like.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
    >>> test = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit().test_additive()
    >>> test.slopes[["interactive", "additive"]].round(2)
        interactive  additive
    x1         1.07      1.43
    x2         0.92      1.29
    """

    slopes: pd.DataFrame = field(default_factory=pd.DataFrame, kw_only=True)
    errors: str = field(default="", kw_only=True)

    def _content(self, fmt: str) -> tuple[str, list[Block]]:
        left = (("H0", self.null), ("Errors", self.errors))
        right = (("Statistic", f"{self.statistic:.2f} [{self.distribution}]"), ("p-value", probability(self.pvalue)))
        rows = tuple(
            (
                str(name),
                *(number(row[key]) for key in ("interactive", "additive", "difference", "se")),
                ratio(row["difference"] / row["se"]),
            )
            for name, row in self.slopes.iterrows()
        )
        header = ("", "with factors", "additive", "difference", "std err", "z")
        notes = (Notes((self.note,), False),) if self.note else ()
        return self.name, [Pairs(left, right), Table(header, (("", rows),)), *notes]


class AdditiveTestMethods(_Parent):
    """Mixed in before statsmodels' class."""

    def test_additive(self, effects: str | None = None, *, cov_type: str | None = None) -> AdditiveTest:
        """Are additive effects enough, or must they be interactive? The Hausman test of Bai (2009, section 9).

        Additive effects are factors too: an entity effect is a loading on a constant factor, a time effect a factor
        with loadings of one. Where they are all there is, slopes with factors and slopes with additive effects agree
        up to chance; where effects are interactive and correlated with the regressors, they differ.

        Parameters
        ----------
        effects : {"both", "entity", "time"}, optional
            Additive effects under the null; by default those of entities and periods with two factors, of entities with
            one; what the fit absorbs is among them and needs no factor.
        cov_type : {"nonrobust", "HC1", "cluster"}, optional
            Errors: independent with one variance, as in Bai (2009); with any variances; dependent within entities. By
            default as in the fit, "cluster" where it has another type.

        Returns
        -------
        AdditiveTest
            ``statistic``, ``pvalue``, ``slopes``; it prints itself.

        Raises
        ------
        SpecificationError
            If there are not as many factors as additive effects beside those that the fit absorbs, with lags of the
            outcome or other predetermined regressors, and with trends.
        DataError
            After ``remove_data()``.

        Notes
        -----
        Slopes are those of least squares, before a correction of bias. Groups are those of the fit under both. A test
        that does not reject says that the slopes agree, not that there are no factors: factors that have nothing to do
        with the regressors leave them alone. ``gifepanel.select`` asks how many factors there are.

        References
        ----------
        Bai, J. (2009). Panel data models with interactive fixed effects. *Econometrica* 77, 1229-1279.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=20, random_state=1)
        >>> res = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=2).fit()
        >>> res.test_additive().pvalue < 0.001
        True
        """
        kind = _kind(self.cov_type if cov_type is None else cov_type, cov_type is not None)
        _ = self._estimate  # which raises where the data are gone
        assert self._inference is not None
        effects = _effects(self, effects)
        estimate = self._inference.estimate
        off = _off_additive(estimate, effects)
        z, y = off(estimate.z), off(estimate.y)
        size, left = (np.sqrt(np.einsum("ntq,ntq->q", cube, cube)) for cube in (estimate.z, z))
        kept = np.flatnonzero(left > _RELATIVE * size)
        names = self._names
        if not kept.size:
            raise SpecificationError(
                f"{_WORDS[effects].capitalize()} leave no regressor any variation.",
                "The test compares slopes that both models have.",
                'res.test_additive("entity")' if effects == "both" else "Add a regressor that varies over both.",
            )
        z_factors = _refitted(estimate, kept)
        n, t = estimate.shape
        df = estimate.nobs - kept.size - {"entity": n, "time": t, "both": n + t - 1}[effects]
        found = hausman(estimate.theta[kept], z_factors, z[:, :, kept], y, float(df), kind)
        if np.isnan(found.statistic):
            raise SpecificationError(
                "The slopes with factors and with additive effects do not differ by chance alone.",
                "Their difference needs a variance.",
                "n_factors=2",
            )
        gap = estimate.theta[kept] - found.additive
        table = pd.DataFrame(
            {
                "interactive": estimate.theta[kept],
                "additive": found.additive,
                "difference": gap,
                "se": found.se,
                "pvalue": 2 * stats.norm.sf(np.abs(gap / found.se)),
            },
            index=pd.Index([names[j] for j in kept]),
        )
        return AdditiveTest(
            "Additive against interactive effects (Hausman)",
            found.statistic,
            float(stats.chi2.sf(found.statistic, found.rank)),
            float(found.rank),
            f"chi2({found.rank})",
            f"{_WORDS[effects]} are enough",
            _note(self, [name for j, name in enumerate(names) if j not in kept], effects),
            slopes=table,
            errors=_KINDS[kind],
        )


def _kind(cov_type: Any, given: bool) -> HausmanKind:
    if cov_type in ("nonrobust", "HC1", "cluster"):
        return cov_type
    if given:
        raise SpecificationError(
            f"cov_type is {cov_type!r}.", 'It must be "nonrobust", "HC1" or "cluster".', 'cov_type="cluster"'
        )
    return "HC1" if cov_type == "HC0" else "nonrobust" if cov_type == "fixed scale" else "cluster"


def _effects(res: Any, effects: Any) -> str:
    """The additive effects to be tested; the model must have room for them."""
    model, r = res.model, res.n_factors
    if effects not in (None, *_WORDS):
        raise SpecificationError(f"effects is {effects!r}.", 'It must be "both", "entity" or "time".', 'effects="both"')
    if r == 0:
        raise SpecificationError(
            "The model has no factors.", "Its effects are additive already: there is nothing to test.", "n_factors=2"
        )
    if not model._parts.only_additive:
        raise SpecificationError(
            f"The model absorbs {', '.join(model.design.absorbed)}.",
            "The test knows additive effects of entities and periods.",
            f"y ~ x | {model.design.index.entity_name}",
        )
    if model._predetermined:
        names = ", ".join(model._names[j] for j in model._predetermined)
        raise SpecificationError(
            f"{names} react{'s' if len(model._predetermined) == 1 else ''} to past errors.",
            "With additive effects the slopes are biased then, in panels of any length but a long one (Nickell 1981), "
            "and the two estimates differ whatever the effects are.",
            "res.factor_sensitivity()",
        )
    absorbed = {name for name, own in (("entity", model.entity_effects), ("time", model.time_effects)) if own}
    wanted = {"entity", "time"} if effects == "both" else {effects}
    if effects is None:
        free = [name for name in ("entity", "time") if name not in absorbed]
        wanted = absorbed | set(free[:r])
    if missing := absorbed - wanted:
        raise SpecificationError(
            f"The model absorbs {_WORDS[min(missing)]}, and effects is {effects!r}.",
            "They are in the model under the null too.",
            'effects="both"',
        )
    if len(wanted - absorbed) != r:
        raise _other_number(r, wanted, absorbed)
    return "both" if len(wanted) == 2 else wanted.pop()


def _other_number(r: int, wanted: set[Any], absorbed: set[str]) -> SpecificationError:
    """There are not as many factors as additive effects."""
    under = _WORDS["both" if len(wanted) == 2 else min(wanted)]
    free = len(wanted - absorbed)
    has = f"The model has {r} factor{'s' * (r > 1)}"
    if not free:
        return SpecificationError(
            f"{has} beside the {under} that it absorbs.",
            "Under the null they are factors that are not there, and these follow the errors: as many factors are "
            "needed as there are additive effects, and the formula without them.",
            f"y ~ 0 + x, n_factors={len(wanted)}",
        )
    beside = f" beside those absorbed ({', '.join(sorted(absorbed))})" if absorbed else ""
    return SpecificationError(
        f"{has}, and {under} are {free}{beside}.",
        "There must be as many factors as additive effects: fewer cannot be these, and further ones follow the errors.",
        'effects="entity"' if r == 1 and not absorbed else f"n_factors={free}",
    )


def _off_additive(estimate: FactorEstimate, effects: str) -> Any:
    """The function that takes additive effects out of a panel (N, T) or (N, T, k), times the roots of the weights."""
    n, t = estimate.shape
    entity, time = effects != "time", effects != "entity"
    if estimate.observed is None and estimate.root is None:
        space = factor_space(n, t, entity_effects=entity, time_effects=time)
        return lambda cube: project(cube, space)
    observed = np.ones((n, t), dtype=bool) if estimate.observed is None else estimate.observed
    ones = observed[:, :, None].astype(np.float64)
    none = ones[:, :, :0]
    cells = cells_of(
        estimate.y,
        estimate.x[:, :, :0],
        observed,
        known=ones if entity else none,
        period=ones if time else none,
        weights=None if estimate.root is None else estimate.root**2,
    )
    return TangentSpace(cells.data, state_without_factors(cells), cells.series, cells.free).off


def _refitted(estimate: FactorEstimate, kept: Any) -> Array:
    """Regressors off factors and off the slopes that the additive model lacks (N, T, q)."""
    z = estimate.z_projected
    others = np.setdiff1d(np.arange(z.shape[2]), kept)
    if not others.size:
        return z
    flat, beside = z[:, :, kept].reshape(-1, kept.size), z[:, :, others].reshape(-1, others.size)
    left = flat - beside @ np.linalg.lstsq(beside, flat, rcond=None)[0]
    return np.asarray(left.reshape(*z.shape[:2], kept.size))


def _note(res: Any, lost: list[str], effects: str) -> str:
    notes = []
    if lost:
        notes.append(f"{', '.join(lost)}: spanned by {_WORDS[effects]}, not compared.")
    if res.n_groups > 1 and not res._groups_known:
        notes.append("Groups are those of the fit, taken as known in both.")
    if getattr(res, "is_soft", False):
        notes.append("Slopes are those of least squares, every entity in its most probable group.")
    if res.bias_correction != "none":
        notes.append("Slopes are those of least squares, before the correction of bias.")
    return " ".join(notes)
