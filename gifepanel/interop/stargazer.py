"""Tables by the package stargazer, with rows for effects, groups, factors and covariance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gifepanel.interop.common import facts, is_ours, neighbour, raw

__all__ = ["table"]


def table(results: Iterable[Any], *, lines: bool = True) -> Any:
    """A ``Stargazer`` of results of this package and of others it knows.

    ``Stargazer([res, ols])`` works as well; this adds rows and corrects the first degrees of freedom of the F
    statistic, which are the number of slopes tested, not of everything estimated. It also takes away the stars that
    stargazer gives to coefficients without a standard error.

    Parameters
    ----------
    results : sequence of results
        Of this package, statsmodels or linearmodels.
    lines : bool
        Add the rows: absorbed effects, groups, factors, covariance, each where a model has them.

    Returns
    -------
    stargazer.stargazer.Stargazer
        ``render_html()``, ``render_latex(escape=True)``, and stargazer's options.

    Raises
    ------
    MissingPackageError
        Where stargazer is not installed.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> "price" in gife.interop.stargazer.table([res]).render_latex()
    True
    """
    models = list(results)
    out = neighbour("stargazer.stargazer", "stargazer").Stargazer(models)
    for model, data in zip(models, out.model_data, strict=True):
        if is_ours(model):
            own = raw(model)
            data["degree_freedom"] = len(own._names) - len(own.model._constants)
            # it takes a p-value that is missing for one of zero, and gives it three stars
            data["p_values"] = data["p_values"].fillna(1.0)
            data["f_p_value"] = 1.0 if np.isnan(data["f_p_value"]) else data["f_p_value"]
    if lines:
        for label, values in _lines(models).items():
            out.add_line(label, values)
    return out


def _lines(models: list[Any]) -> dict[str, list[str]]:
    """Rows with a cell for each model; those that would be empty throughout are left out."""
    about = [facts(model) if is_ours(model) else None for model in models]
    rows = {
        "Absorbed": [", ".join(a.absorbed) if a is not None else "" for a in about],
        "Groups": [_number(a.n_groups) if a is not None else "" for a in about],
        "Factors": [_number(a.n_factors) if a is not None else "" for a in about],
    }
    rows["No std. error"] = [", ".join(a.without) if a is not None else "" for a in about]
    rows = {label: values for label, values in rows.items() if any(values)}
    if any(a is not None for a in about):
        rows["Covariance"] = [_covariance(a, model) for a, model in zip(about, models, strict=True)]
    return rows


def _covariance(about: Any, model: Any) -> str:
    if about is None:
        return str(getattr(model, "cov_type", getattr(model, "_cov_type", "")))
    return about.covariance + (f" ({', '.join(about.clusters)})" if about.clusters else "")


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
