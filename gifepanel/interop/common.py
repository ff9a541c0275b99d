"""What all neighbours need to know of a result, and how they are missed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from gifepanel.exceptions import MissingPackageError, SpecificationError

__all__ = ["Facts", "facts", "is_ours", "neighbour", "raw", "slopes"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def neighbour(module: str, package: str | None = None) -> Any:
    """Import a module of another package.

    Raises
    ------
    MissingPackageError
        With the line that installs it.
    """
    package = package or module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] not in (module.partition(".")[0], package):
            raise
        raise MissingPackageError(
            f"{package} is not installed.", "It is an optional neighbour.", f"pip install {package}"
        ) from None


def is_ours(res: Any) -> bool:
    """Whether these are results of this package."""
    return hasattr(getattr(res, "_results", res), "_model_kind")


def raw(res: Any) -> Any:
    """Results without the wrapper that attaches names.

    Raises
    ------
    SpecificationError
        For anything but results of this package.
    """
    if not is_ours(res):
        raise SpecificationError(
            f"These are not results of gifepanel but a {type(res).__module__}.{type(res).__qualname__}.",
            "What a model's fit() returns is needed.",
            "res = model.fit()",
        )
    return getattr(res, "_results", res)


@dataclass(frozen=True)
class Facts:
    """What tables say of a fit besides coefficients; None where it does not apply.

    Attributes
    ----------
    model, endog : str
    absorbed : tuple of str
    n_groups, n_factors, n_entities, n_times : int or None
    covariance : str
    clusters : tuple of str
    without : tuple of str
        Coefficients that have no standard error.
    """

    model: str
    endog: str
    absorbed: tuple[str, ...]
    n_groups: int | None
    n_factors: int | None
    n_entities: int | None
    n_times: int | None
    covariance: str
    clusters: tuple[str, ...]
    without: tuple[str, ...] = ()


def facts(res: Any) -> Facts:
    """Facts of a fit, from what is kept after ``remove_data()`` too."""
    res = raw(res)
    name, covariance = type(res.model).__name__, str(res.cov_type)
    without = tuple(res._names[j] for j in res._covariance.without)
    if res._model_kind == "factors":
        sample = res.sample
        groups = res.n_groups if hasattr(res, "_slots") else None
        clusters = tuple(map(str, res._cluster_names))
        sizes = (res.n_entities, res.n_times)
        return Facts(
            name,
            sample.endog_name,
            tuple(sample.absorbed),
            groups,
            res.n_factors,
            *sizes,
            covariance,
            clusters,
            without,
        )
    n, t = res._panel_size or (None, None)
    clusters = tuple(map(str, res._cluster_names))
    return Facts(name, str(res.model.endog_names), res._absorbed_names, None, None, n, t, covariance, clusters, without)


def slopes(res: Any) -> list[tuple[str, int | None, str]]:
    """Name, group (None: common to all) and regressor of every coefficient, in order."""
    res = raw(res)
    terms = zip(res._names, res._terms(), strict=True)
    return [(name, None if group is None else group + 1, regressor) for name, (regressor, group) in terms]
