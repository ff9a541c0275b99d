"""Tests that hold after grouping: whether groups differ, how many there are, whether a slope is common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from gifepanel.exceptions import ConvergenceError, SpecificationError
from gifepanel.solvers.grouping_gain import Grouped

if TYPE_CHECKING:
    from gifepanel.inference.estimate import FactorEstimate
    from gifepanel.results.bootstrap_test import BootstrapTest
    from gifepanel.results.inputs import Inference, Sample

    class _Parent:
        model: Any
        sample: Sample
        n_groups: int
        n_factors: int
        _inference: Inference | None

        @property
        def _estimate(self) -> FactorEstimate: ...

else:
    _Parent = object

__all__ = ["GroupingTestMethods"]

_CORRELATED, _SHORT, _VARYING = 0.15, 30, 1.25
Progress = bool | Callable[[int, int], None] | None


class GroupingTestMethods(_Parent):
    """Mixed in before statsmodels' class."""

    def test_groups(
        self,
        against: int | None = None,
        *,
        null: int | None = None,
        n_draws: int = 199,
        errors: str = "series",
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> BootstrapTest:
        """Do slopes differ between groups, and are there more groups? A bootstrap that knows groups were searched for.

        A Wald test of estimated groups against each other rejects nearly always, since they are formed to differ (Wan,
        Sun & Xu 2025). Here the fit with more groups is compared with that of fewer by what it gains,
        ``(SSR_0 - SSR_1) / (SSR_1 / df_1)``, and the gain with what it is where there is nothing to gain: outcomes are
        drawn from the model with fewer groups, its slopes, factors and loadings, and both are fitted to them as to
        the data, factors and groups anew.

        Parameters
        ----------
        against : int, optional
            Number of groups of the alternative; by default that of the fit, and two where it has one.
        null : int, optional
            Number of groups under the null; by default one, or that of the fit where `against` is larger:
            ``test_groups()`` asks whether slopes differ, ``test_groups(res.n_groups + 1)`` for one group more.
        n_draws : int
            Draws from the null model; B of them know no p-value below 1 / (B + 1).
        errors : {"series", "cells"}
            How errors are drawn. "series": residuals of the null model, the whole series of an entity given to
            another one with a random sign and the standard deviation of that one, so that serial correlation and
            variances of entities survive. "cells": residuals stay where they are, each with a random sign, for errors
            that are independent over time, with variances that depend on the regressors.
        random_state : int or Generator
            Of the draws.
        n_jobs : int, optional
            Workers; None is one unless a ``joblib.parallel_config`` says otherwise. Results do not depend on it.
        progress : bool or callable, optional
            Progress bar: None shows it on a terminal after two seconds.
        checkpoint : str or path, optional
            A folder that keeps what is finished; the same call again goes on from there.

        Returns
        -------
        BootstrapTest
            ``statistic``, ``pvalue``, ``draws``, ``critical_value(level)``; it prints itself.

        Raises
        ------
        SpecificationError
            If there are not more groups against than under the null, or too many for the panel.
        DataError
            After ``remove_data()``.

        Notes
        -----
        Groups are those of least squares, also where the fit's are soft; they are searched for less long than in a fit,
        in the data and in the draws alike. Regressors, lags of the outcome among them,
        stay as they are in all draws (the fixed design of Gonçalves & Kilian 2004), and errors of different entities
        are drawn independent of each other.

        References
        ----------
        Gonçalves, S. and L. Kilian (2004). Bootstrapping autoregressions with conditional heteroskedasticity of unknown
        form. *Journal of Econometrics* 123, 89-120.
        Wan, C., J. Sun and X. Xu (2025). Conditional selective inference for the selected groups in panel data.
        arXiv 2511.04466.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=15, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.test_groups(n_draws=9).pvalue
        0.1
        >>> res.test_groups(against=4, n_draws=9).pvalue > 0.1
        True
        """
        own = self.n_groups
        against = max(own, 2) if against is None else _counted("against", against)
        null = (own if against > own else 1) if null is None else _counted("null", null)
        if null >= against:
            raise SpecificationError(
                f"{_groups(null)} were to be tested against {_groups(against)}."
                if null > 1
                else f"One group was to be tested against {'itself' if against == 1 else _groups(against)}.",
                "There must be more groups against than under the null.",
                f"against={null + 1}",
            )
        common = self._common_slopes
        return grouping_test(
            self,
            "Do slopes differ between groups?" if null == 1 else f"More groups than {null}?",
            Grouped(null, common if null > 1 else ()),
            Grouped(against, common),
            ("one slope for all" if null == 1 else f"{null} groups", f"{against} groups"),
            n_draws=n_draws,
            errors=errors,
            random_state=random_state,
            n_jobs=n_jobs,
            progress=progress,
            checkpoint=checkpoint,
        )

    def test_common(
        self,
        regressors: str | Sequence[str],
        *,
        n_draws: int = 199,
        errors: str = "series",
        random_state: Any = 0,
        n_jobs: int | None = None,
        progress: Progress = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> BootstrapTest:
        """May the slopes of some regressors be the same in all groups (``common=``)? A bootstrap, groups found anew.

        As :meth:`test_groups`, with as many groups under the null, whose slopes differ in the other regressors.

        Parameters
        ----------
        regressors : str or sequence of str
            Names of regressors whose slopes differ by group; of several it is a joint test.
        n_draws, errors, random_state, n_jobs, progress, checkpoint
            As of :meth:`test_groups`.

        Returns
        -------
        BootstrapTest

        Raises
        ------
        SpecificationError
            If there is one group, or a slope is common already.
        DataError
            After ``remove_data()``.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=15, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.test_common("x1", n_draws=9).pvalue
        0.1
        """
        names = [regressors] if isinstance(regressors, str) else list(regressors)
        positions = self._positions_by_group(names)
        common = self._common_slopes
        also = tuple(sorted({*common, *positions}))
        everything = len(also) == len(self.sample.regressors)
        listed = ", ".join(names)
        return grouping_test(
            self,
            f"{'Are slopes' if len(names) > 1 else 'Is the slope'} of {listed} common to the groups?",
            Grouped(1, ()) if everything else Grouped(self.n_groups, also),
            Grouped(self.n_groups, common),
            (
                "one slope for all" if everything else f"{listed} in common",
                f"{self.n_groups} groups, {listed} by group",
            ),
            n_draws=n_draws,
            errors=errors,
            random_state=random_state,
            n_jobs=n_jobs,
            progress=progress,
            checkpoint=checkpoint,
        )

    @property
    def _common_slopes(self) -> tuple[int, ...]:
        """Regressors whose slope is common to all groups; of a fit without groups those that one with groups has."""
        common = tuple(sorted(self.model._common))
        if not common and self.n_groups == 1 and "Intercept" in self.sample.regressors:
            common = (self.sample.regressors.index("Intercept"),)
        return common if len(common) < len(self.sample.regressors) else ()

    def _positions_by_group(self, names: Sequence[Any]) -> list[int]:
        """Positions of regressors that have slopes by group."""
        known = self.sample.regressors
        if self.n_groups == 1:
            raise SpecificationError("The fit has one group.", "Every slope is common already.", "res.test_groups()")
        free = [name for j, name in enumerate(known) if j not in self._common_slopes]
        for name in names:
            if name in free:
                continue
            raise SpecificationError(
                f"{name} is common to all groups already." if name in known else f"{name!r} is not a regressor.",
                f"Slopes differ by group for {', '.join(free)}.",
                f'res.test_common("{free[0]}")',
            )
        if not names:
            raise SpecificationError("No regressor was named.", "One is needed.", f'res.test_common("{free[0]}")')
        return [known.index(name) for name in names]


def grouping_test(
    res: Any,
    name: str,
    null: Grouped,
    alternative: Grouped,
    words: tuple[str, str],
    *,
    n_draws: Any,
    errors: Any,
    **how: Any,
) -> BootstrapTest:
    """A bootstrap test of one grouping of slopes against another.

    Parameters
    ----------
    res : FactorResults
    name : str
    null, alternative : Grouped
    words : tuple of str
        What both are.
    n_draws : int
    errors : {"series", "cells"}
    **how
        ``random_state``, ``n_jobs``, ``progress``, ``checkpoint``.
    """
    from gifepanel.results.bootstrap_test import BootstrapTest

    if not isinstance(n_draws, (int, np.integer)) or isinstance(n_draws, bool) or n_draws < 1:
        raise SpecificationError(f"n_draws is {n_draws!r}.", "It must be a number of draws, 1 or more.", "n_draws=199")
    if errors not in ("series", "cells"):
        raise SpecificationError(f"errors is {errors!r}.", 'It must be "series" or "cells".', 'errors="series"')
    _ = res._estimate  # which raises where the data are gone
    found = res.model._grouping_tests().draws(res._inference.estimate, null, alternative, n_draws, errors=errors, **how)
    good = ~np.isnan(found.draws) & (found.smallest_drawn > 0)
    draws = found.draws[good]
    if not draws.size:
        raise ConvergenceError(
            f"None of {n_draws} draws from the null model could be fitted with {_groups(alternative.n_groups)}.",
            "Every group needs entities.",
            "against=2" if alternative.n_groups > 2 else "n_factors=0",
        )
    single = int((found.smallest_drawn[good] == 1).sum())
    return BootstrapTest(
        name,
        found.statistic,
        float((1 + (draws >= found.statistic).sum()) / (1 + draws.size)),
        None,
        f"{draws.size} draws from the null model" if draws.size > 1 else "1 draw from the null model",
        words[0],
        " ".join([*_counts(found.smallest, single, draws.size, int((~good).sum())), *_on_errors(res, errors)]),
        alternative=words[1],
        draws=draws,
        n_failed=int((~good).sum()),
        ssr_null=found.ssr_null,
        ssr_alternative=found.ssr_alternative,
        errors=errors,
    )


def _counts(smallest: int, single: int, n: int, failed: int) -> list[str]:
    """What draws and data have of groups with one entity, and without any."""
    notes = []
    if failed:
        notes.append(f"{failed} of {n + failed} draws lost a group or gave no number; they are not counted.")
    if smallest == 1:
        notes.append("A group of the alternative has one entity.")
    if single:
        notes.append(f"In {single} of {n} draws a group has one entity.")
    return notes


def _on_errors(res: Any, errors: str) -> list[str]:
    """What is known of draws where residuals are correlated over time, or vary with the regressors."""
    estimate = res._inference.estimate
    resid, z = estimate.wresid, estimate.z_projected
    square = float(np.vdot(resid, resid))
    if not square:
        return []
    notes = []
    correlation = float(np.vdot(resid[:, 1:], resid[:, :-1])) / square
    found = f"Residuals are correlated over time ({correlation:.2f})"
    if correlation > _CORRELATED and errors == "cells":
        notes.append(f'{found}, and errors were drawn as if they were not: errors="series".')
    elif correlation > _CORRELATED and resid.shape[1] < _SHORT:
        notes.append(f"{found}, of which few periods show a part: the test rejects somewhat too often.")
    n = estimate.nobs
    u = n * z**2 / np.maximum(np.einsum("ntq,ntq->q", z, z), np.finfo(float).tiny)
    w = n * resid**2 / square
    ratio = np.einsum("ntq,nt->q", u, w) / n
    chance = np.sqrt((np.einsum("ntq,ntq->q", u, u) / n - 1.0) * (np.vdot(w, w) / n - 1.0) / n)
    most = int(np.argmax(ratio))
    if errors == "series" and ratio[most] > max(_VARYING, 1.0 + 3.0 * float(chance[most])):
        notes.append(
            f"Squared residuals are larger where {res._names[most]} is far from its mean ({ratio[most]:.1f} times): "
            'unless errors="cells" rejects too, that may be all there is.'
        )
    return notes


def _counted(name: str, value: Any) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise SpecificationError(
        f"{name} is {value!r}.", "It must be a number of groups, 1 or more.", f"{name}={2 if name == 'against' else 1}"
    )


def _groups(n: int) -> str:
    return "one group" if n == 1 else f"{n} groups"
