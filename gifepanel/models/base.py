"""What the models with factors share: reading data, checks, and the model at an estimate."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from statsmodels.regression.linear_model import OLS

from gifepanel.blocks import is_large
from gifepanel.exceptions import SpecificationError
from gifepanel.inference.dof import checked_residual, degrees_of_freedom
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.soft_groups import SoftGroups
from gifepanel.lazy_rows.sources import fixes_read_first, is_path
from gifepanel.models.additive import Additive
from gifepanel.models.checks import (
    check_no_id_dummies,
    check_outcome,
    reject_unknown,
    usable_columns,
)
from gifepanel.models.described import DescribedFactorModel
from gifepanel.models.factor_likelihood import FactorLikelihood
from gifepanel.models.file_design import design_of_files
from gifepanel.models.foreign import refuse_model_words
from gifepanel.models.grouping_tests import GroupingTests
from gifepanel.models.known_parts import KnownParts, known_parts
from gifepanel.models.later_rows import Later, LaterRows
from gifepanel.models.open_numbers import OpenNumbers, largest_asked
from gifepanel.models.pruning import pruned_design
from gifepanel.models.reading import positions, read_design
from gifepanel.models.refits import Refits
from gifepanel.models.treated import read_treatment_for, refuse_treated_arrays, warn_of_lost_cells
from gifepanel.models.what_if import WhatIf
from gifepanel.page.source import called
from gifepanel.panel.balance import completeness
from gifepanel.panel.complete import CompleteDesign
from gifepanel.panel.design import design_from_formula
from gifepanel.panel.matrices import PanelDesign
from gifepanel.panel.treatment import Treatment
from gifepanel.projections.base import column_norms
from gifepanel.projections.qr_or_cholesky import triangle_over_lengths
from gifepanel.projections.triangle import constant_column
from gifepanel.results.inputs import Pruned, Sample
from gifepanel.solvers.cells import n_coefficients
from gifepanel.spellings.options import keywords, written

__all__ = ["FactorModel"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class FactorModel(DescribedFactorModel, LaterRows, OpenNumbers, FactorLikelihood, OLS):
    """A linear panel model with common factors: statsmodels' OLS whose whitening is a projection.

    Before a fit `endog` and `exog` are the data. The model a results object carries has the regressors that belong to
    its parameters (one column per group and regressor) and whitens by M_Lambda and M_F, so that least squares on the
    whitened data gives the estimates.
    """

    _has_groups: ClassVar[bool] = False
    _weights_by_entity = False
    _common_constant = False  # one constant for all groups, since `common` was left open
    _chosen = False  # numbers of groups and factors, from the data
    _min_group_share = 0.05
    _treatment: Treatment | None = None

    # ---- what constructors do with what they were given -----------------------------------------------------------

    def _from_data(
        self,
        endog: Any,
        exog: Any,
        own: Mapping[str, Any],
        given: Mapping[str, Any],
        unknown: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> None:
        """Set the model up from arrays or frames.

        Parameters
        ----------
        endog, exog : array_like
        own, given : mapping
            The model's options: those of its class, and those that all models with factors have.
        unknown, defaults : mapping
            Options it does not have, and the defaults of those it has.
        """
        name = type(self).__name__
        _refuse_text(type(self), endog, exog, {**own, **unknown, **given})
        refuse_model_words(name, unknown, {**own, **given}, defaults, data=_indexed(endog, exog), factors=True)
        refuse_treated_arrays(name, unknown)
        reject_unknown(unknown, (*own, *given), name)
        design = read_design(
            endog,
            exog,
            model=name,
            entity=given["entity"],
            time=given["time"],
            absorb=given["absorb"],
            common=own.get("common") or (),
            weights=_row_weights(given["weights"]),
            missing=given["missing"],
        )
        self._weights_by_entity = is_by_entity(given["weights"])
        self._set_up(design, positions(design, given["predetermined"]), exog, **own)
        self._call = called(name, {**own, **given}, defaults, ("endog", "exog"))

    @classmethod
    def _from_formula(
        cls,
        formula: str,
        data: Any,
        context: Mapping[str, Any],
        own: Mapping[str, Any],
        given: Mapping[str, Any],
        unknown: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> Self:
        """The model of a formula; `context` holds the names it may use, the options are those of `_from_data`."""
        name = f"{cls.__name__}.from_formula"
        refuse_model_words(name, unknown, {**own, **given}, defaults, formula=formula, data=data, factors=True)
        reject_unknown(unknown, (*own, *given, "context"), name)
        with fixes_read_first(data, frame=True):
            return cls._of_formula(formula, data, context, own, given, defaults)

    @classmethod
    def _of_formula(
        cls,
        formula: str,
        data: Any,
        context: Mapping[str, Any],
        own: Mapping[str, Any],
        given: Mapping[str, Any],
        defaults: Mapping[str, Any],
    ) -> Self:
        files = design_of_files(formula, data, context, {**own, **given}) if is_path(data) else data
        design = files
        if not isinstance(files, PanelDesign):
            data = files
            design = design_from_formula(
                formula,
                data,
                entity=given["entity"],
                time=given["time"],
                common=own.get("common") or (),
                context=context,
                weights=_row_weights(given["weights"]),
                missing=given["missing"],
            )
        model = cls.__new__(cls)
        model._weights_by_entity = is_by_entity(given["weights"])
        if given.get("treated") is not None:
            model._treatment = read_treatment_for(design, data, given, context)
            design = model._treatment.untreated()
        model._set_up(design, positions(design, given["predetermined"]), data, **own)
        warn_of_lost_cells(model)
        uses = design.spec.context if design.spec else ()
        model._call = called(f"{cls.__name__}.from_formula", {**own, **given}, defaults, (formula, "data"), uses)
        return model

    # ---- set-up ---------------------------------------------------------------------------------------------------

    def _set_up(self, design: PanelDesign, predetermined: set[int], source: Any, **options: Any) -> None:
        n_factors = options.get("n_factors")
        if isinstance(n_factors, Iterator):
            n_factors = options["n_factors"] = list(n_factors)
        if isinstance(n_factors, Iterable) or n_factors != 0:
            check_no_id_dummies(design)
        self.formula = design.formula
        self._source = source if hasattr(source, "columns") or isinstance(source, Mapping) else None
        self._estimate: FactorEstimate | None = None
        self._whole, self._reacting = design, predetermined
        self._take_core(largest_asked(n_factors))
        self._read_options(**options)
        self._initialise(self._own_exog())

    def _take_core(self, n_factors: int, set_aside: tuple[Any, ...] = (), *, warn: bool = True) -> None:
        """Take in the cells that say something about slopes beside so many factors."""
        design = self._whole
        parts = known_parts(design)
        self._pruned, self._pruned_at = Pruned(), n_factors
        if set_aside or not design.index.is_balanced:
            counts = (len(parts.unit_names), len(parts.period_names))
            design, self._pruned = pruned_design(design, n_factors, *counts, set_aside)
            parts = known_parts(design)
        self._take(design, parts, warn)

    def _take_again(self, set_aside: tuple[Any, ...] = ()) -> None:
        """Take in the cells anew, for the model's number of factors as it is now."""
        self._take_core(self.n_factors, set_aside, warn=False)
        self._initialise(self._own_exog())

    def _with_numbers(self, **numbers: int) -> Self:
        """The model, not fitted, with other numbers of factors or groups; its counts are checked."""
        other = copy.copy(self)
        other._estimate, other._candidates = None, None
        for name, value in numbers.items():
            setattr(other, name, value)
        other._take_again()
        other._check_counts()
        return other

    def _take(self, design: PanelDesign, parts: KnownParts, warn: bool) -> None:
        y, x = design.cubes()
        self.design, self._parts = design, parts
        self.entity_effects, self.time_effects = parts.entity_effects, parts.time_effects
        self._observed = None if design.index.is_balanced else design.index.observed
        self._cell_weights = None if design.weights is None else design.index.to_cube(design.weights)
        self._y, self._x = y, x
        self._kept = list(range(x.shape[2]))
        effects = Additive.of(self)
        check_outcome(design, effects, y)
        needed = self._has_groups or self._treatment is None
        self._kept = usable_columns(design, x, effects, warn=warn, needed=needed)
        names, kept = design.exog_names, self._kept
        self.dropped = tuple(name for j, name in enumerate(names) if j not in kept)
        self._x = x if len(kept) == x.shape[2] else np.ascontiguousarray(x[:, :, kept])
        self._names = [names[j] for j in kept]
        self._lags = tuple(kept.index(j) for j in design.lags_of_endog if j in kept)
        self._predetermined = tuple(sorted({*self._lags, *(kept.index(j) for j in self._reacting if j in kept)}))
        self._common = tuple(kept.index(j) for j in design.common if j in kept)
        if self._common_constant and "Intercept" in self._names:
            self._common = (self._names.index("Intercept"),)

    def _own_exog(self) -> Later:
        kept = self._kept if len(self._kept) < self.design.exog.shape[1] else None
        return Later(self.design, partial(_columns, self.design, kept), tuple(self._names))

    @property
    def _on_cells(self) -> bool:
        """Whether cells are missing or weighted, or more is known than additive effects: no principal components."""
        given = self._cell_weights is not None or self._weights_by_entity
        return self._observed is not None or given or not self._parts.only_additive

    def _initialise(self, rows: Later) -> None:
        """What statsmodels has in a model; of a large panel, or cubes, what has rows comes when it is asked for."""
        self.__dict__.pop("_later", None)
        if not self._on_cells and (isinstance(self.design, CompleteDesign) or is_large(*self._x.shape)):
            self._initialise_later(rows)
        else:
            OLS.__init__(self, rows.endog, rows.exog, missing="none", hasconst=False)
        self._data_attr.extend(
            [
                "_y",
                "_x",
                "_source",
                "_estimate",
                "design",
                "_whole",
                "_parts",
                "_observed",
                "_cell_weights",
                "_treatment",
            ]
        )

    def _release(self) -> None:
        """Let go of what has rows in it, besides what statsmodels knows of."""
        self.weights = np.empty(0)

    def _read_options(self, **options: Any) -> None:
        raise NotImplementedError

    def _check_degrees_of_freedom(self, n_slopes: int) -> None:
        """Something must be left for the residuals."""
        n, t, effects = self.n_entities, self.n_times, (self.entity_effects, self.time_effects)
        if self._on_cells:
            rows, cols = (len(names) for names in (self._parts.unit_names, self._parts.period_names))
            known = n_coefficients(n, t, rows, cols)
            taken = n_coefficients(n, t, rows + self.n_factors, cols + self.n_factors)
            checked_residual(self.design.nobs, n_slopes, known, taken - known)
            return
        degrees_of_freedom(n, t, n_slopes, self.n_factors, entity_effects=effects[0], time_effects=effects[1])

    @property
    def n_entities(self) -> int:
        """N."""
        return int(self.design.index.n_entities)

    @property
    def n_times(self) -> int:
        """T."""
        return int(self.design.index.n_times)

    # ---- the model at an estimate ----

    def _at(self, estimate: FactorEstimate, names: Sequence[str]) -> Self:
        """This model with the regressors that belong to the parameters, whitened at the estimated factors."""
        fitted = copy.copy(self)
        fitted._estimate = estimate
        fitted._initialise(Later(self.design, partial(_regressors, self.design, estimate), tuple(names)))
        rows = self.design.index.from_cube(self._x, copy=False)
        fitted.k_constant = int(self.entity_effects or self.time_effects or _spans_ones(rows))
        fitted.rank = len(names)
        fitted.df_model = float(estimate.df.model - fitted.k_constant)
        fitted.df_resid = float(estimate.df.residual)
        constants = [j for j in np.flatnonzero(rows[0] == rows[-1]) if (rows[:, j] == rows[0, j]).all()]
        fitted._constants = frozenset(estimate.slots[:, constants].ravel().tolist())
        return fitted

    @property
    def sample(self) -> Sample:
        """Names and counts that a report needs, without the data."""
        design = self.design
        cells, pruned = completeness(design.index), getattr(self, "_pruned", Pruned())
        return Sample(
            design.endog_name,
            design.absorbed,
            design.index.entity_name,
            design.index.time_name,
            design.index.n_entities,
            design.index.n_times,
            tuple(self._names),
            self.dropped,
            design.n_dropped,
            dict(design.dropped_by),
            cells.n_observed,
            cells.n_cells,
            cells.shortest,
            cells.longest,
            pruned.entities,
            pruned.times,
            pruned.set_aside,
            pruned.n_rows,
            tuple(design.empty[0].tolist()),
            tuple(design.empty[1].tolist()),
            self._weights_words,
            design.n_zero_weights,
        )

    def __copy__(self) -> Self:
        """All of it, the caller's frame too, which pickles leave out."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Everything but, once fitted, the caller's frame."""
        state = self.__dict__.copy()
        if state.get("_estimate") is not None:
            state["_source"] = None
        return state

    def whiten(self, x: Any) -> Any:
        """Project the rows of `x`, (n,) or (n, q), off the factors and loadings; as they are before a fit."""
        values = np.asarray(x, dtype=np.float64)
        estimate = getattr(self, "_estimate", None)
        if estimate is None:
            return values
        index = self.design.index
        if values is self.exog:
            return index.from_cube(estimate.z_projected, copy=False)
        if values is self.endog:
            return index.from_cube(estimate.y_projected, copy=False)
        return index.from_cube(estimate.project(index.to_cube(values)))

    def _covariance_for(
        self,
        cov_type: str,
        cov_kwds: Mapping[str, Any] | None,
        ssc: bool,
        use_t: bool | None,
        *,
        groups_known: bool = False,
        soft: SoftGroups | None = None,
    ) -> Any:
        """Another covariance of the same estimate, for results."""
        from gifepanel.models.inference import read_covariance

        options: dict[str, Any] = {"groups_known": groups_known, "call": "get_robustcov_results"}
        choice = replace(read_covariance(self, cov_type, cov_kwds, ssc, use_t, **options), soft=soft)
        estimate = self._fitted("get_robustcov_results")
        return choice(estimate, list(self.exog_names)), choice.group_names, choice.use_t, choice.groups

    def _what_if(self) -> WhatIf:
        """What counterfactuals ask of the model."""
        return WhatIf(self)

    def _grouping_tests(self) -> GroupingTests:
        """What tests of groupings ask of the model."""
        return GroupingTests(self)

    def _refits(self) -> Refits:
        """The model fitted again."""
        return Refits(self)

    def _fitted(self, what: str) -> FactorEstimate:
        estimate = getattr(self, "_estimate", None)
        if estimate is None:
            raise SpecificationError(
                f"{what} needs an estimate with its data.",
                "This model has none: it was not fitted, or remove_data() was called.",
                "res = model.fit()",
            )
        return estimate


def _refuse_text(kind: type[FactorModel], endog: Any, exog: Any, options: Mapping[str, Any]) -> None:
    """A formula has a function of its own."""
    if isinstance(endog, str) or isinstance(exog, str):
        formula, _ = (endog, exog) if isinstance(endog, str) else (exog, endog)
        given = {
            name: value for name, value in options.items() if value is not None and not (value == () or value == "drop")
        }
        raise SpecificationError(
            f"{kind.__name__} was given text, {formula!r}.",
            "It takes an outcome and regressors; formulas have a function of their own.",
            f"{kind.__name__}.from_formula({written(formula)}, data{', ' if given else ''}{keywords(given)})",
        )


def _regressors(design: PanelDesign, estimate: FactorEstimate) -> Array:
    """Those that belong to the parameters (n, q)."""
    return design.index.from_cube(estimate.z, copy=False)


def _columns(design: PanelDesign, kept: list[int] | None) -> Array:
    """The design's own (n, p)."""
    return design.exog if kept is None else design.exog[:, kept]


def _indexed(endog: Any, exog: Any) -> Any:
    """Whichever of the two says who and when."""
    return exog if hasattr(exog, "columns") else endog


def is_by_entity(weights: Any) -> bool:
    """Whether weights are to be estimated."""
    return isinstance(weights, str) and weights == "entity"


def _row_weights(weights: Any) -> Any:
    """Weights of rows that are given."""
    return None if is_by_entity(weights) else weights


def _spans_ones(flat: Array) -> bool:
    """Whether a combination of the regressors (n, p) is constant over the sample."""
    n, p = flat.shape
    if constant_column(flat) >= 0 or p < 2:
        return constant_column(flat) >= 0
    triangle = triangle_over_lengths(flat, column_norms(flat), list(range(p)), np.broadcast_to(1.0, n))
    return bool(len(triangle) <= p or triangle[p, p] ** 2 <= 1e-10 * n)
