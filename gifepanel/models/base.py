"""What the models with factors share: reading data, checks, covariance, bias correction."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.estimate import FactorEstimate
from gifepanel.inference.space import project
from gifepanel.models.checks import absorbed_effects, reject_unknown, usable_columns
from gifepanel.panel.design import PanelDesign, design_from_arrays, design_from_formula, design_from_frames

__all__ = ["FactorModel"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class FactorModel(OLS):
    """A linear panel model with common factors: statsmodels' OLS whose whitening is a projection.

    Before a fit `endog` and `exog` are the data. The model a results object carries has the regressors that belong to
    its parameters (one column per group and regressor) and whitens by M_Lambda and M_F, so that least squares on the
    whitened data gives the estimates.
    """

    _options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        endog: Any,
        exog: Any = None,
        *,
        entity: Any = None,
        time: Any = None,
        absorb: str | Sequence[str] = (),
        predetermined: Sequence[str | int] = (),
        missing: str = "drop",
        **options: Any,
    ) -> None:
        common = options.get("common", ())
        reject_unknown(
            {k: v for k, v in options.items() if k not in self._options},
            (*self._options, "entity", "time", "absorb", "predetermined", "missing"),
            type(self).__name__,
        )
        design = _read(endog, exog, entity, time, absorb, common, missing)
        self._set_up(design, _positions(design, predetermined), exog if exog is not None else endog, **options)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        entity: Any = None,
        time: Any = None,
        predetermined: Sequence[str] = (),
        missing: str = "drop",
        context: int | Mapping[str, Any] | None = 0,
        **options: Any,
    ) -> Self:
        """Build the model from a formula.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 + log(x2) + L(y) | entity + time"``: formulaic's grammar; the part after ``|`` names absorbed
            effects; index levels can be used by name; ``L(x, k)``, ``F(x, k)`` and ``D(x)`` lag, lead and difference
            within entities and respect gaps.
        data : DataFrame
            With a two-level index (entity, time), or flat with `entity` and `time`; anything narwhals reads.
        entity, time : str, optional
            Columns that say who and when.
        predetermined : sequence of str
            Regressors that react to past errors, besides lags of the outcome, which are found by themselves.
        missing : {"drop", "raise"}
            What to do with rows that hold NaN.
        context : int, mapping or None
            Where functions used in the formula are looked up: frames above the caller, or names.
        **options
            Of the model class: ``n_factors`` and, for groups, ``n_groups`` and ``common``.

        Raises
        ------
        FormulaError, DataError, SpecificationError
            Before any estimation, with what was found, what is needed and the line that repairs it.
        """
        reject_unknown(
            {k: v for k, v in options.items() if k not in cls._options},
            (*cls._options, "entity", "time", "predetermined", "missing", "context"),
            f"{cls.__name__}.from_formula",
        )
        design = design_from_formula(
            formula,
            data,
            entity=entity,
            time=time,
            common=options.get("common", ()),
            context=context + 1 if isinstance(context, int) else context,
            missing=missing,
        )
        model = cls.__new__(cls)
        model._set_up(design, _positions(design, predetermined), data, **options)
        return model

    # ---- set-up ---------------------------------------------------------------------------------------------------

    def _set_up(self, design: PanelDesign, predetermined: set[int], source: Any, **options: Any) -> None:
        y, x = design.cubes()
        self.entity_effects, self.time_effects = absorbed_effects(design)
        kept = usable_columns(design, x, self.entity_effects, self.time_effects)
        names = design.exog_names
        self.design = design
        self.formula = design.formula
        self.dropped = tuple(name for j, name in enumerate(names) if j not in kept)
        self._kept = kept
        self._source = source
        self._y = y
        self._x = np.ascontiguousarray(x[:, :, kept])
        self._names = [names[j] for j in kept]
        self._lags = tuple(kept.index(j) for j in design.lags_of_endog if j in kept)
        self._predetermined = tuple(sorted({*self._lags, *(kept.index(j) for j in predetermined if j in kept)}))
        self._common = tuple(kept.index(j) for j in design.common if j in kept)
        self._estimate: FactorEstimate | None = None
        self._read_options(**options)
        exog = pd.DataFrame(design.exog[:, kept], index=design.row_index, columns=self._names, copy=False)
        self._initialise(exog)

    def _initialise(self, exog: pd.DataFrame) -> None:
        endog = pd.Series(self.design.endog, index=self.design.row_index, name=self.design.endog_name, copy=False)
        OLS.__init__(self, endog, exog, missing="none", hasconst=False)
        self._data_attr.extend(["_y", "_x", "_source", "_estimate", "design"])

    def _read_options(self, **options: Any) -> None:
        raise NotImplementedError

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
        columns = self.design.index.from_cube(estimate.z)
        exog = pd.DataFrame(columns, index=self.design.row_index, columns=list(names), copy=False)
        fitted._initialise(exog)
        fitted.rank = len(names)
        fitted.df_model = float(len(names))
        fitted.df_resid = float(estimate.df.residual)
        return fitted

    def whiten(self, x: Any) -> Any:
        """Project the rows of `x`, (n,) or (n, q), off the factors and loadings; as they are before a fit."""
        values = np.asarray(x, dtype=np.float64)
        estimate = getattr(self, "_estimate", None)
        if estimate is None:
            return values
        index = self.design.index
        if values is self.exog:
            return index.from_cube(estimate.z_projected)
        return index.from_cube(project(index.to_cube(values), estimate.space))

    def predict(self, params: Any, exog: Any = None) -> Array:
        """Linear part ``exog @ params``, effects left out; ``results.predict`` has them."""
        if exog is None:
            exog = self.exog
        return np.dot(exog, params)


def _read(endog: Any, exog: Any, entity: Any, time: Any, absorb: Any, common: Any, missing: str) -> PanelDesign:
    """Arrays (N, T) and (N, T, p), or frames."""
    if isinstance(endog, np.ndarray) and endog.ndim == 2 and isinstance(exog, np.ndarray):
        design = design_from_arrays(endog, exog, entities=entity, times=time, common=common, missing=missing)
        return _with_effects(design, absorb)
    if exog is None:
        raise SpecificationError(
            "The model got an outcome and no regressors.",
            "It needs both, as arrays y (N, T) and x (N, T, p) or as frames.",
            'GroupedIFE(data["y"], data[["x1", "x2"]], ...)',
        )
    return design_from_frames(endog, exog, entity=entity, time=time, absorbed=absorb, common=common, missing=missing)


def _with_effects(design: PanelDesign, absorb: str | Sequence[str]) -> PanelDesign:
    """The design of an array model with absorbed effects, named "entity" and "time"."""
    from dataclasses import replace

    from gifepanel.panel.grammar import parse_absorbed

    wanted = [absorb] if isinstance(absorb, str) else list(absorb)
    if not wanted:
        return design
    index = design.index
    codes = {
        index.entity_name: (index.entity_codes, index.entities),
        index.time_name: (index.time_codes, index.times),
    }
    unknown = [name for name in wanted if name not in codes]
    if unknown:
        raise SpecificationError(
            f"absorb names {unknown[0]!r}.",
            f"Array models absorb {index.entity_name!r} and {index.time_name!r}.",
            f'absorb=["{index.entity_name}"]',
        )
    return replace(
        design,
        absorbed=tuple(wanted),
        absorbed_codes={name: codes[name] for name in wanted},
        absorbed_effects=parse_absorbed(" + ".join(wanted)),
    )


def _positions(design: PanelDesign, columns: Sequence[str | int]) -> set[int]:
    """Positions of regressors given by name or number."""
    columns = [columns] if isinstance(columns, (str, int)) else columns
    names = list(design.exog_names)
    out = set()
    for column in columns:
        known = column in names if isinstance(column, str) else 0 <= column < len(names)
        if not known:
            raise SpecificationError(
                f"predetermined names {column!r}.",
                f"The regressors are {', '.join(names)}.",
                f"predetermined=[{names[0]!r}]",
            )
        out.add(names.index(column) if isinstance(column, str) else int(column))
    return out
