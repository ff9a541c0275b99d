"""What statsmodels keeps of a fit in the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["WhitenedModel"]


class WhitenedModel:
    """Mixed in before statsmodels' OLS: the linear part, and the pseudoinverse that its ``fit`` would leave behind."""

    if TYPE_CHECKING:
        exog: Any
        wexog: Any

        @property
        def _is_fitted(self) -> bool: ...

    @property
    def pinv_wexog(self) -> Any:
        """Pseudoinverse (k, n) of the whitened regressors; None before a fit and without data."""
        return np.linalg.pinv(self.wexog) if self._is_fitted and self.wexog is not None else None

    @pinv_wexog.setter
    def pinv_wexog(self, value: Any) -> None:
        """Not kept: statsmodels sets it to None in `__init__`."""

    def predict(self, params: Any, exog: Any = None) -> Any:
        """Linear part ``exog @ params``, effects, controls and factors left out; ``results.predict`` has them."""
        return np.asarray(np.dot(self.exog if exog is None else exog, params))
