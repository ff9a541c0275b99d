"""Tables by the package maketables: absorbed effects, groups, factors and covariance in rows of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gifepanel.interop.common import facts, is_ours, neighbour, raw, slopes
from gifepanel.interop.frames import given_frame

__all__ = ["TableModel", "etable", "wrap"]


class TableModel:
    """Results as maketables' plug-in protocol wants them.

    maketables takes everything that has ``params``, ``bse`` and ``pvalues`` for a plain statsmodels result, so these
    are not here. A coefficient ``x1[2]`` is called ``x1, group 2``: maketables reads brackets as levels of a category.
    """

    def __init__(self, res: Any) -> None:
        self._res, self._facts = raw(res), facts(res)

    def __repr__(self) -> str:
        return f"<{self._facts.model} of {self._facts.endog} for maketables>"

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """b, se, t, p and intervals by coefficient."""
        res = self._res
        columns = {
            "b": np.asarray(res.params),
            "se": np.asarray(res.bse),
            "t": np.asarray(res.tvalues),
            "p": np.asarray(res.pvalues),
        }
        for name, alpha in (("ci95", 0.05), ("ci90", 0.1)):
            interval = np.asarray(res.conf_int(alpha))
            columns |= {f"{name}l": interval[:, 0], f"{name}u": interval[:, 1]}
        names = [_title(name, group, regressor) for name, group, regressor in slopes(res)]
        return pd.DataFrame(columns, index=pd.Index(names, name="Coefficient"))

    def __maketables_stat__(self, key: str) -> Any:
        """A statistic by maketables' key, or by one of ours: Groups, Factors, Entities, Periods."""
        res, about = self._res, self._facts
        values = {
            "Groups": about.n_groups,
            "Factors": about.n_factors,
            "Entities": about.n_entities,
            "Periods": about.n_times,
            "No std. error": ", ".join(about.without) or None,
            "N": int(res.nobs),
            "df_resid": int(res.df_resid),
            "n_clusters": min(res._covariance.n_groups, default=None) if res._covariance.n_groups else None,
            "se_type": self._se_type,
        }
        if key in values:
            return values[key]
        attribute = _STATISTICS.get(key)
        if key == "rmse":
            return float(np.sqrt(res.mse_resid))
        return None if attribute is None else float(getattr(res, attribute))

    @property
    def _se_type(self) -> str:
        clusters = self._facts.clusters
        return f"by: {'+'.join(clusters)}" if clusters else self._facts.covariance

    @property
    def __maketables_depvar__(self) -> str:
        """The outcome."""
        return self._facts.endog

    @property
    def __maketables_fixef_string__(self) -> str | None:
        """Absorbed effects, joined by +."""
        return "+".join(name.replace(" ", "") for name in self._facts.absorbed) or None

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        """Covariance and clusters."""
        return {"vcov_type": self._facts.covariance, "clustervar": "+".join(self._facts.clusters) or None}

    @property
    def __maketables_var_labels__(self) -> dict[str, str] | None:
        """Labels that the data carry, for coefficients by group too."""
        frame = given_frame(self._res.model)
        found = getattr(frame, "attrs", {}).get("variable_labels")
        return _with_groups(found, [self]) if isinstance(found, Mapping) else None

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """Rows under the coefficients."""
        about = self._facts
        own = [key for key, value in (("Groups", about.n_groups), ("Factors", about.n_factors)) if value is not None]
        within = ["r2_within"] if about.absorbed or about.n_factors else []
        return ["N", *own, "r2", *within, "se_type", *(["No std. error"] if about.without else [])]


_STATISTICS = {
    "r2": "rsquared",
    "adj_r2": "rsquared_adj",
    "r2_within": "rsquared_within",
    "ll": "llf",
    "aic": "aic",
    "bic": "bic",
    "df_model": "df_model",
    "fvalue": "fvalue",
    "f_pvalue": "f_pvalue",
}


def _title(name: str, group: int | None, regressor: str) -> str:
    return name if group is None else f"{regressor}, group {group}"


def _with_groups(labels: Mapping[str, str], models: Iterable[Any]) -> dict[str, str]:
    """Labels of regressors, and of the same by group."""
    out = dict(labels)
    for model in models:
        if isinstance(model, TableModel):
            for _, group, regressor in slopes(model._res):
                if group is not None and regressor in labels:
                    out[_title("", group, regressor)] = _title("", group, labels[regressor])
    return out


def wrap(res: Any) -> TableModel:
    """Results in the form ``maketables.ETable`` takes.

    Parameters
    ----------
    res : results of this package

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> type(gife.interop.maketables.wrap(res)).__name__
    'TableModel'
    """
    return TableModel(res)


def etable(results: Any, *, labels: Mapping[str, str] | None = None, **options: Any) -> Any:
    """``maketables.ETable`` of results of this package and of others that maketables knows.

    Parameters
    ----------
    results : results or sequence of results
        Of this package, pyfixest, statsmodels, linearmodels.
    labels : dict of str to str, optional
        Of variables; coefficients by group take that of their regressor.
    **options
        Of ``ETable``: ``model_stats``, ``model_heads``, ``coef_fmt``, ``felabels``, ``caption``, ...

    Returns
    -------
    maketables.ETable
        ``make("gt")``, ``make("tex")``, ``make("docx")``, ``save(...)``.

    Raises
    ------
    MissingPackageError
        Where maketables is not installed.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> table = gife.interop.maketables.etable([res])
    >>> len(table.df) > 2
    True
    """
    package = neighbour("maketables")
    models = list(results) if isinstance(results, (list, tuple)) else [results]
    wrapped = [TableModel(model) if is_ours(model) else model for model in models]
    if labels is not None:
        options["labels"] = _with_groups(labels, wrapped)
    return package.ETable(wrapped, **options)
