"""What a partialled-out model keeps of its fit: columns that have coefficients, whitened, and degrees of freedom."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from gifepanel.lazy_rows.engine import LazyRows
    from gifepanel.panel.matrices import PanelDesign
    from gifepanel.projections.system import Effect
    from gifepanel.results.linear_inputs import PartialledFit

__all__ = ["FittedPartialled"]


class FittedPartialled:
    """Mixed in before statsmodels' OLS: the projection is what whitens, and effects and controls are counted."""

    if TYPE_CHECKING:
        design: PanelDesign
        endog: Any
        exog: Any
        _fit: PartialledFit | None
        _rows: LazyRows | None

        @property
        def effects(self) -> tuple[Effect, ...]: ...

        def _initialise(self, exog: pd.DataFrame) -> None: ...

        def _initialise_elsewhere(self, names: Sequence[str]) -> None: ...

    def _bootstrap_nuisance(self, fit: PartialledFit) -> tuple[tuple[Effect, ...], Any]:
        """Effects and controls, the latter residualised on the former, as the wild bootstrap takes them."""
        weights, basis = self.design.weights, fit.projection.basis
        if basis is None:
            return self.effects, None
        return self.effects, basis.q if weights is None else basis.q / np.sqrt(weights)[:, None]

    @property
    def _constants(self) -> list[int]:
        """Positions of the coefficients that belong to a constant."""
        return [] if self._fit is None else self._fit.constants(self.design.exog)

    def _at(self, fit: PartialledFit) -> Self:
        """This model with the columns that have coefficients, whitened by the projection."""
        fitted = copy.copy(self)
        fitted._fit = fit
        names = [self.design.exog_names[j] for j in fit.kept]
        if self._rows is not None:
            fitted._initialise_elsewhere(names)
            return fitted._counted(fit, names)
        every = len(fit.kept) == self.design.exog.shape[1]
        values = self.design.exog if every else self.design.exog[:, list(fit.kept)]
        exog = pd.DataFrame(values, index=self.design.row_index, columns=names, copy=False)
        fitted._initialise(exog)
        return fitted._counted(fit, names)

    def _counted(self, fit: PartialledFit, names: Sequence[str]) -> Self:
        """This model with its degrees of freedom."""
        self.rank = len(names)
        self.k_constant = int(self._spans_constant(fit))
        estimated = len(names) + fit.projection.degrees.total
        self.df_model = float(estimated - self.k_constant)
        self.df_resid = float(self.design.nobs - estimated)
        return self

    def _spans_constant(self, fit: PartialledFit) -> bool:
        """Whether a constant is in the span of effects, controls and regressors."""
        if any(effect.intercept for effect in self.design.absorbed_effects) or fit.constants(self.design.exog):
            return True
        if self._rows is not None:
            return bool(cast(Any, fit).parts.spans_constant)
        left = fit.projection.residualize(np.ones((self.design.nobs, 1)))[0][:, 0]
        root = np.ones(self.design.nobs) if self.design.weights is None else np.sqrt(self.design.weights)
        q = fit.triangle.basis(fit.x_tilde, root)
        rest = left * root - q @ (q.T @ (left * root))
        return bool(rest @ rest <= 1e-16 * (root @ root))

    def whiten(self, x: Any) -> Any:
        """Residuals of `x`, (n,) or (n, m), on effects and controls, times the root of the weights."""
        values = np.asarray(x, dtype=np.float64)
        fit = getattr(self, "_fit", None)
        if fit is None:
            return values
        if values is self.exog:
            out = fit.x_tilde
        elif values is self.endog:
            out = fit.y_tilde
        else:
            flat = values.reshape(len(values), -1)
            out = fit.projection.residualize(np.ascontiguousarray(flat))[0].reshape(values.shape)
        if self.design.weights is None:
            return out
        root = np.sqrt(self.design.weights)
        return out * (root if out.ndim == 1 else root[:, None])
