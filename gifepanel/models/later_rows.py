"""What statsmodels keeps of the rows in a model: of a large panel, several times the data, made on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData
from statsmodels.regression.linear_model import OLS

from gifepanel.panel.matrices import PanelDesign

__all__ = ["Later", "LaterRows"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_OF_MODEL = ("endog", "exog", "wendog", "wexog", "weights")
_OF_DATA = ("endog", "exog", "orig_endog", "orig_exog")


@dataclass(frozen=True, eq=False)
class Later:
    """Outcome and regressors of a model.

    Attributes
    ----------
    design : PanelDesign
    columns : callable
        Makes the regressors (n, q).
    names : tuple of str
    """

    design: PanelDesign
    columns: Callable[[], Array]
    names: tuple[str, ...]

    @property
    def endog(self) -> pd.Series:
        """The outcome on the caller's index."""
        design = self.design
        return pd.Series(design.endog, index=design.row_index, name=design.endog_name, copy=False)

    @property
    def exog(self) -> pd.DataFrame:
        """The regressors likewise."""
        return pd.DataFrame(self.columns(), index=self.design.row_index, columns=list(self.names), copy=False)


class _LaterData(PandasData):
    """statsmodels' data of a model with names alone; rows come from `Later`."""

    _later: Later | None

    @classmethod
    def of(cls, small: PandasData, later: Later) -> _LaterData:
        """Like that of a model with two rows."""
        _ = small.xnames, small.ynames  # kept from here on
        out = cls.__new__(cls)
        out.__dict__.update({name: value for name, value in small.__dict__.items() if name not in _OF_DATA})
        out._later = later
        return out

    @property
    def row_labels(self) -> Any:
        """The caller's index."""
        later = self.__dict__.get("_later")
        return None if later is None else later.design.row_index

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_DATA or self.__dict__.get("_later") is None:
            raise AttributeError(name)
        later = self.__dict__["_later"]
        whole = later.endog if name.endswith("endog") else later.exog
        value = whole if name.startswith("orig") else np.asarray(whole)
        self.__dict__[name] = value
        return value


class LaterRows:
    """Mixed in before statsmodels' OLS."""

    if TYPE_CHECKING:
        data: Any
        nobs: float
        _estimate: Any

        def whiten(self, x: Any) -> Any: ...

    def _initialise_later(self, rows: Later) -> None:
        """Set up as statsmodels does, on two rows; what has rows is left out."""
        n, width = rows.design.nobs, len(rows.names)
        endog = pd.Series(rows.design.endog[:2], name=rows.design.endog_name)
        exog = pd.DataFrame(np.eye(2, width), columns=list(rows.names))
        estimate, self._estimate = self._estimate, None  # two rows are not to be projected
        OLS.__init__(self, endog, exog, missing="none", hasconst=False)
        self._estimate = estimate
        for name in _OF_MODEL:
            self.__dict__.pop(name, None)
        self.data = _LaterData.of(self.data, rows)
        self.nobs = float(n)
        self.__dict__["_later"] = rows

    def __getattr__(self, name: str) -> Any:
        later = self.__dict__.get("_later")
        if later is None or name not in _OF_MODEL:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name == "weights":
            value = np.ones(later.design.nobs)
        elif name in ("endog", "exog"):
            value = later.design.endog if name == "endog" else np.ascontiguousarray(later.columns())
        else:
            value = self.whiten(getattr(self, name[1:]))
        self.__dict__[name] = value
        return value

    def _forget_rows(self) -> None:
        """Let go of rows that nobody has asked for."""
        if self.__dict__.pop("_later", None) is not None:
            self.__dict__.update(dict.fromkeys(_OF_MODEL))
            self.data._later = None
            self.data.__dict__.update(dict.fromkeys(_OF_DATA))
