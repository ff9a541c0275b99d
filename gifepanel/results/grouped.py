"""Results of GroupedIFE."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.inference.estimate import mean_slopes
from gifepanel.inference.estimated_groups import unit_losses
from gifepanel.inference.unit_slopes import UnitSlopes, unit_slopes
from gifepanel.results.base import FactorResults, FactorResultsWrapper
from gifepanel.results.inputs import Inference
from gifepanel.results.interactive import rescaled
from gifepanel.results.membership import Membership
from gifepanel.short_repr import ShortRepr
from gifepanel.solvers.grouped import GroupedFit
from gifepanel.solvers.selection import smallest_group
from gifepanel.tables.blocks import Table
from gifepanel.tables.estimated_groups import note_on_information, warning_of_information
from gifepanel.tables.remarks import Remarks
from gifepanel.tables.summary import joined
from gifepanel.tables.text_width import first_names

if TYPE_CHECKING:
    from gifepanel.results.inputs import FittedFactorModel

__all__ = ["GroupedIFEResults", "Penalized", "coefficient_names", "grouped_results"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, repr=False)
class Penalized(ShortRepr):
    """The penalised estimates before classification (Su & Ju 2018, equation 2.7), in the units of the data.

    Attributes
    ----------
    unit_params : DataFrame, entity by regressor
    centers : DataFrame, group by regressor
    fused : Series of bool, by entity
        Whether the entity's slopes sit on a centre.
    criterion : float
        Q at the two above, on regressors of root mean square one (on the regressors as they are for a raw kappa).
    kappa, kappa_scale : float
        Weight of the penalty in Q, and the c of the scale-free rule (NaN for a raw kappa).
    distances : DataFrame, entity by group
        In the metric of classification.
    path : tuple of float
        Q after the sweep and after each iteration of the descent.
    sweep_path : tuple of float
        Q after every sweep; the sweep is not a descent, so it may rise.
    fused_share : tuple of float
        Share of entities on a centre, by sweep.
    n_sweeps, n_iter : int
    converged : bool
    restarts_agreed, n_restarts : int
        K-means restarts that ended at the partition used.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> res = model.fit()
    >>> res.penalized.centers.round(2)
             x1    x2
    group
    1      0.41  1.67
    2      1.00  0.98
    3      1.54  0.38
    >>> res.penalized.converged
    True
    """

    unit_params: pd.DataFrame
    centers: pd.DataFrame
    fused: pd.Series
    criterion: float
    kappa: float
    kappa_scale: float
    distances: pd.DataFrame
    path: tuple[float, ...]
    sweep_path: tuple[float, ...]
    fused_share: tuple[float, ...]
    n_sweeps: int
    n_iter: int
    converged: bool
    restarts_agreed: int
    n_restarts: int


_LINE_OF_MEMBERS = 50  # columns that a line of text leaves for names in the table of groups


class GroupedIFEResults(Membership, FactorResults):
    """Results of :class:`gifepanel.GroupedIFE`.

    Attributes
    ----------
    params, bse, tvalues, pvalues : Series
        Slopes by group, named ``x1[1]``; common ones under their own name.
    params_by_group, bse_by_group : DataFrame
        Group by regressor.
    groups : Series
        Group of each entity, 1..K, groups in lexicographic order of their slopes.
    group_sizes : Series
    missing_information : MissingInformation or None
        What estimated groups cost: standard errors allow for it unless ``groups_known=True``.
    membership : DataFrame
        Probabilities of the groups, distances to them, margin and runner-up of each entity.
    factors, loadings : DataFrame
        Time by R and entity by R.
    unit_params, unit_bse, unit_params_shrunken : DataFrame
        Each entity's own least-squares slopes at the factors of the fit, their standard errors, and the slopes drawn
        to those of the group.
    penalized : Penalized
    minima : DataFrame
        Distinct local minima over the starts.
    converged : bool
    n_iter : int
    criterion : float
        Of the penalised estimates.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> res = model.fit()
    >>> res.params_by_group.round(2)
             x1    x2
    group
    1      0.43  1.67
    2      0.90  0.99
    3      1.57  0.43
    >>> bool(res.f_test("x1[1] = 1").pvalue < 0.01)
    True
    """

    report_title = "Grouped Interactive Fixed Effects Results"

    penalized: Penalized
    classify: str
    metric: str
    moved_by_refinement: int
    _slots: Any

    @property
    def _method(self) -> str:
        return "penalised principal components" if self.n_factors else "penalised least squares (C-Lasso)"

    @property
    def criterion(self) -> float:
        """Q at the penalised estimates."""
        return self.penalized.criterion

    def _by_group(self, values: Any) -> pd.DataFrame:
        table = np.asarray(values)[self._slots]
        return pd.DataFrame(table, index=pd.Index(self.group_labels, name="group"), columns=self._regressors)

    @property
    def _regressors(self) -> list[str]:
        return list(self.sample.regressors)

    @property
    def params_by_group(self) -> pd.DataFrame:
        """Slopes, group by regressor."""
        return self._by_group(self.params)

    @property
    def bse_by_group(self) -> pd.DataFrame:
        """Standard errors, group by regressor."""
        return self._by_group(self.bse)

    # ---- slopes of the entities ----

    @cached_property
    def unit_params(self) -> pd.DataFrame:
        """Each entity's own least-squares slopes at the factors and effects of periods of the fit.

        Those of a group are the mean of its members', weighted by their precision ``X_i'M X_i``; a correction for bias
        is that of the group. NaN where an entity's own periods do not determine a slope; slopes in common are the same
        for all.
        """
        return self._by_entity(self._unit_slopes.params + self._unit_correction)

    @cached_property
    def unit_bse(self) -> pd.DataFrame:
        """Standard errors of :attr:`unit_params`: those of a regression of the entity alone, factors known.

        The error variance is the entity's own, errors independent; NaN where no degrees of freedom are left. For slopes
        in common the standard errors of the fit.
        """
        errors = self._unit_slopes.bse.copy()
        for j in self._common:
            errors[:, j] = np.asarray(self.bse)[self._slots[0, j]]
        return self._by_entity(errors)

    @cached_property
    def unit_params_shrunken(self) -> pd.DataFrame:
        """Slopes of the entities drawn to those of their group, the more the noisier they are (empirical Bayes).

        How far depends on how much slopes in a group differ beyond their errors: if not at all, all of its members have
        the group's. With soft groups they are drawn to the mean over groups.
        """
        return self._by_entity(self._unit_slopes.shrunken + self._unit_correction)

    @cached_property
    def _unit_slopes(self) -> UnitSlopes:
        _ = self._estimate  # which raises where the data are gone
        assert self._inference is not None
        posterior = None if self._soft is None else self._soft.posterior
        of_groups = np.asarray(self._least_squares)
        return unit_slopes(self._inference.estimate, common=self._common, theta=of_groups, posterior=posterior)

    @property
    def _unit_correction(self) -> Array:
        """By how much a correction for bias moves the slopes of the entity's group (N, p)."""
        moved = (np.asarray(self.params) - np.asarray(self._least_squares))[self._slots]
        return mean_slopes(moved, self._estimate.groups, None if self._soft is None else self._soft.posterior)

    def _by_entity(self, values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, index=self._entities, columns=self._regressors)

    # ---- pieces of the report ----

    def _group_information(self) -> list[tuple[str, str]]:
        words = {"refined": "nearest centre, refined by LS", "nearest": f"nearest centre ({self.metric})"}
        scale = self.penalized.kappa_scale
        rule = "given" if np.isnan(scale) else f"c = {scale:g}"
        return [
            ("Groups", f"{self.n_groups}{self._groups_chosen_from}"),
            ("Classification", words[self.classify]),
            *([("Slopes", "soft groups (mixture likelihood)")] if self.is_soft else []),
            ("Penalty kappa", f"{self.penalized.kappa:.4g} ({rule})"),
        ]

    def _terms(self) -> list[tuple[str, int | None]]:
        terms: list[tuple[str, int | None]] = [("", None)] * len(self._names)
        for k, slots in enumerate(np.asarray(self._slots)):
            for j, position in enumerate(slots):
                terms[position] = (self._regressors[j], None if j in self._common else k)
        return terms

    def _group_facts(self) -> dict[str, str | tuple[str, ...]]:
        facts: dict[str, str | tuple[str, ...]] = {"Groups": f"{self.n_groups}{' (soft)' if self.is_soft else ''}"}
        if self.n_groups > 1:
            facts["Entities in group"] = tuple(f"{size:,}" for size in self.group_sizes)
        return facts

    def _sections(self, rows: list[tuple[str, ...]]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        common, names = self._common, self._regressors
        sections = [("All groups", tuple((f"  {names[j]}", *rows[self._slots[0, j]][1:]) for j in common))]
        for k, size in enumerate(self.group_sizes):
            title = f"Group {k + 1}: {size} of {self.n_entities} entities ({100 * size / self.n_entities:.0f}%)"
            own = [j for j in range(len(names)) if j not in common]
            sections.append((title, tuple((f"  {names[j]}", *rows[self._slots[k, j]][1:]) for j in own)))
        return sections if common else sections[1:]

    @property
    def _groups_chosen_from(self) -> str:
        chosen = None if self.selection is None else self.selection.groups
        return f" (of {chosen.index[0]} to {chosen.index[-1]})" if chosen is not None and len(chosen) else ""

    def _columns_by_group(self, rows: list[tuple[str, ...]]) -> list[tuple[str, list[tuple[str, ...]]]]:
        own = [j for j in range(len(self._regressors)) if j not in self._common]
        return [
            (f"Group {k + 1}", [(self._regressors[j], *rows[self._slots[k, j]][1:]) for j in own])
            for k in range(self.n_groups)
        ]

    def _common_rows(self, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return [(f"  {self._regressors[j]}", *rows[self._slots[0, j]][1:]) for j in self._common]

    def _group_tables(self, full: bool) -> list[Table]:
        """Sizes and the first few members, on one line or two."""
        if self.n_groups == 1:
            return []
        rows = []
        for k, size in self.group_sizes.items():
            members = [str(name) for name in self.groups.index[self.groups == k][:12]]
            share = f"{100 * size / self.n_entities:.0f}%"
            rows.append(
                (f"Group {k}", str(size), share, first_names(members, int(size), 2 * 44 if full else _LINE_OF_MEMBERS))
            )
        header = (f"{self.sample.entity_name}", "entities", "share", "members")
        return [Table(header, (("", tuple(rows)),), text_last=True)]

    def _note_on_convergence(self) -> str:
        stage = "least squares or the refinement of groups" if self.penalized.converged else "the penalised stage"
        return f"NOT CONVERGED: {stage} stopped early. Raise max_iter, or lower the number of factors or groups."

    def _group_remarks(self) -> Remarks:
        if self.n_groups == 1:
            return Remarks()
        own = next(j for j in range(len(self._regressors)) if j not in self._common)
        name = self._regressors[own]
        found, note = self.missing_information, self._note_on_margins()
        known = found is not None and not warning_of_information(found, soft=self.is_soft)
        return Remarks.of(
            [*([] if known else [note]), *self._notes_on_small_groups(), *self._notes_on_undetermined()],
            [
                *([note] if known else []),
                *self._notes_on_soft_groups(),
                f'Whether groups differ: .test_groups(); whether one slope does: .test_common("{name}").',
            ],
            [
                self._note_on_penalised_stage(),
                "In other tests coefficients carry the number of their group: "
                f'.f_test("{self._names[self._slots[0, own]]}=0").',
            ],
        )

    def _note_on_penalised_stage(self) -> str:
        penalized = self.penalized
        taken = f"{_times(penalized.n_sweeps, 'sweep')} and {_times(penalized.n_iter, 'descent step')}"
        text = (
            f"Penalised stage: {100 * float(penalized.fused.mean()):.0f}% of the entities sit on a centre; criterion "
            f"{penalized.criterion:.6g} after {taken}."
        )
        if self.classify == "refined":
            tried = self.minima["n_groupings"].sum() if "n_groupings" in self.minima else 0
            by = f"Refinement by least squares{f', {tried} groupings tried,' if tried else ''}"
            text += f" {by} moved {self.moved_by_refinement} of {self.n_entities} entities."
        return text

    def _notes_on_small_groups(self) -> list[str]:
        """Groups with fewer entities than the model asks for."""
        share = self.model._min_group_share
        least = smallest_group(share, self.n_entities)
        small = [f"group {k} has {size}" for k, size in self.group_sizes.items() if size < least]
        if not small:
            return []
        text = f"{joined(small)} of {self.n_entities} entities, fewer than the {least} of min_group_share={share:g}."
        return [text[0].upper() + text[1:]]

    def _note_on_margins(self) -> str:
        if self.missing_information is not None:
            return note_on_information(self)
        unclear = int((~self.membership["clear"]).sum())
        who = f"{unclear} of {self.n_entities} entities {'is' if unclear == 1 else 'are'} unclear"
        return (
            f"Standard errors take the groups as known (groups_known=True); {who} (own group less than 95% probable), "
            "see .membership."
        )

    def _notes_on_soft_groups(self) -> list[str]:
        if self._soft is None:
            return []
        shares = ", ".join(f"{share:.2f}" for share in self._soft.shares)
        return [
            "Soft groups: every entity counts in every group with its probability (shares of the groups "
            f"{shares}); residuals, fitted values and predictions are at each entity's mean slopes; in the table of "
            "groups it is where it most probably belongs."
        ]

    def _notes_on_undetermined(self) -> list[str]:
        if not self.sample.has_holes or self.membership["determined"].all():
            return []
        short = self.membership.index[~self.membership["determined"]]
        listed = ", ".join(map(str, short[:5])) + (f" and {len(short) - 5} more" if len(short) > 5 else "")
        has, their = ("entity has", "its") if len(short) == 1 else ("entities have", "their")
        return [
            f"{len(short)} {has} {self._own_coefficients} periods or fewer, too few for slopes of {their} own: {their} "
            f"group is undetermined ({listed}; see .membership)."
        ]

    def remove_data(self) -> None:
        """Drop everything of the size of the sample; what the summary prints is computed first and kept.

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> res = model.fit()
        >>> res.remove_data()
        >>> res.groups.value_counts().sort_index().tolist()
        [12, 11, 17]
        """
        _ = self.groups, self.group_sizes, self.membership, self.unit_params, self.unit_bse, self.unit_params_shrunken
        super().remove_data()


def _times(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def coefficient_names(model: FittedFactorModel, slots: Any) -> list[str]:
    """``x1[1]`` for slopes by group, ``x1`` for common ones, in the order of the parameters."""
    names = [""] * (int(slots.max()) + 1)
    for j, name in enumerate(model._names):
        for k in range(slots.shape[0]):
            common = j in model._common
            names[slots[k, j]] = name if common else f"{name}[{k + 1}]"
    return names


def grouped_results(
    model: FittedFactorModel,
    inference: Inference,
    grouped: GroupedFit[Any],
    *,
    scale: Array,
    classify: str,
    metric: str,
) -> Any:
    """Wrapped results of a fit."""
    done = grouped.classification
    estimate = inference.estimate
    fitted = model._at(estimate, coefficient_names(model, estimate.slots))
    results = GroupedIFEResults(fitted, inference)
    results._slots = estimate.slots
    results._common = model._common
    results.penalized = _penalized(model, results, grouped)
    results.classify, results.metric = classify, metric
    results.moved_by_refinement = done.moved
    soft = inference.soft
    settled = (done.settled or classify == "nearest") and (soft is None or soft.converged)
    results.converged = bool(done.fit.converged and grouped.penalized.converged and settled)
    results.n_iter = grouped.penalized.n_iter
    results._minima = rescaled(grouped.minima, scale)
    results._soft = soft
    results._unit_ssr = done.ssr if soft is None else unit_losses(estimate, soft.theta)
    return FactorResultsWrapper(results)


def _penalized(model: FittedFactorModel, results: GroupedIFEResults, grouped: GroupedFit[Any]) -> Penalized:
    fit, scale = grouped.penalized, grouped.scale
    labels = pd.Index(results.group_labels, name="group")
    return Penalized(
        pd.DataFrame(fit.unit_params / scale, index=results._entities, columns=model._names),
        pd.DataFrame(fit.centers / scale, index=labels, columns=model._names),
        pd.Series(fit.fused, index=results._entities, name="fused"),
        fit.criterion,
        fit.kappa,
        fit.kappa_scale,
        pd.DataFrame(fit.distances, index=results._entities, columns=labels),
        fit.path,
        fit.sweep_path,
        fit.fused_share,
        fit.n_sweeps,
        fit.n_iter,
        fit.converged,
        grouped.restarts_agreed,
        grouped.n_restarts,
    )
