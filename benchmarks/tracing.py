"""Where the time of a fit goes: functions of the package wrapped with clocks, from outside and for a while.

Every function of interest belongs to a kind of work. A wrapped function is charged the time between its call and its
return, less that of wrapped functions it calls, so the kinds add up to the whole.
"""

from __future__ import annotations

import functools
import importlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["KINDS", "STAGES", "Clock", "traced"]

DATA, EIGEN, UNITS, KMEANS = "data passes", "eigenvectors", "unit problems", "K-means"
SMALL, SEARCH = "steps between", "search of groupings"
_S = "gifepanel.solvers"
_K = "gifepanel.kernels"

# function -> kind of work. A function that calls others keeps only its own share: the products with the data in
# `principal_components`, for one, whose eigenvectors are found in `_top`.
KINDS: Mapping[str, str] = {
    f"{_K}.passes:residual_pass": DATA,
    f"{_K}.passes:cross_moments": DATA,
    f"{_K}.passes:gradient_pass": DATA,
    f"{_K}.passes:deflate": DATA,
    f"{_K}.passes:unit_ssr": DATA,
    f"{_S}.arrays:prepare": DATA,
    f"{_S}.arrays:PanelArrays.rescaled": DATA,
    f"{_S}.arrays:residuals": DATA,
    f"{_S}.arrays:principal_components": DATA,
    f"{_S}.arrays:unit_quadratics": DATA,
    f"{_S}.interactive:_evaluate": DATA,
    f"{_S}.interactive:projected_gram": DATA,
    f"{_K}.regroup:alternate": SEARCH,
    f"{_S}.arrays:_top": EIGEN,
    f"{_K}.product:solve_units": UNITS,
    f"{_K}.product:profile_derivatives": UNITS,
    f"{_K}.joint:joint_profile": UNITS,
    f"{_K}.joint:joint_slopes": UNITS,
    f"{_K}.small:solve_batch": UNITS,
    f"{_K}.small:eigh_batch": UNITS,
    f"{_S}.heterogeneous:unit_minimisers": UNITS,
    f"{_S}.heterogeneous:kmeans_centres": KMEANS,
    f"{_K}.kmeans:lloyd_of_slopes": KMEANS,
    f"{_K}.kmeans:lloyd": KMEANS,
    f"{_K}.kmeans:plus_plus": KMEANS,
    f"{_S}.grouped:fit_grouped": SMALL,
    f"{_S}.heterogeneous:heterogeneous_slopes": SMALL,
    f"{_S}.sweep:sweep": SMALL,
    f"{_S}.joint:joint_step": SMALL,
    f"{_S}.descent:descend": SMALL,
    f"{_S}.interactive:fit_interactive": SMALL,
    f"{_S}.classify:refine": SMALL,
}

# stages of the solver, each with all it calls, and the parts of the whole call around it
STAGES: Mapping[str, str] = {
    f"{_S}.heterogeneous:heterogeneous_slopes": "start: unit slopes",
    f"{_S}.heterogeneous:kmeans_centres": "start: K-means",
    f"{_S}.sweep:sweep": "sweep",
    f"{_S}.descent:descend": "descent",
    f"{_S}.classify:refine": "classification, refit",
    f"{_S}.grouped:_searched": "search of groupings",
    f"{_S}.grouped:_audited": "audit",
    f"{_S}.grouped:fit_grouped": "rest of the solver",
    "gifepanel.panel.design:design_from_formula": "formula and index",
    "gifepanel.panel.cubes:design_from_arrays": "reading arrays",
    "gifepanel.models.checks:usable_columns": "checks of regressors",
    "gifepanel.models.base:FactorModel._set_up": "model set-up",
    "gifepanel.models.base:FactorModel._initialise": "statsmodels and frames",
    f"{_S}.arrays:prepare": "layout for the solver",
    "gifepanel.models.estimation:estimate_from_fit": "inference",
    "gifepanel.models.estimation:estimate_at": "inference",
    "gifepanel.models.inference:infer": "inference",
    "gifepanel.inference.covariance:factor_covariance": "inference",
    "gifepanel.inference.estimate:FactorEstimate.z": "inference",
    "gifepanel.inference.estimate:FactorEstimate.z_projected": "inference",
    "gifepanel.inference.estimate:FactorEstimate.bread": "inference",
    "gifepanel.results.grouped:grouped_results": "results",
}


class Clock:
    """Seconds (those of wrapped functions inside left out) and calls, by label.

    Parameters
    ----------
    opaque : collection of str
        Labels that keep the time of everything they call.
    """

    def __init__(self, opaque: Collection[str] = ()) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._opaque = opaque
        self._closed = False
        self._inner: list[float] = []

    def wrap(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """`function`, timed under `label`."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._closed:
                return function(*args, **kwargs)
            self._closed = label in self._opaque
            self._inner.append(0.0)
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._closed = False
                spent = time.perf_counter() - begin
                self.seconds[label] += spent - self._inner.pop()
                self.calls[label] += 1
                if self._inner:
                    self._inner[-1] += spent

        return timed


@contextmanager
def traced(labels: Mapping[str, str], opaque: Collection[str] = ()) -> Iterator[Clock]:
    """Wrap the functions named ``module:function`` or ``module:Class.method`` wherever the package uses them."""
    clock = Clock(opaque)
    undo: list[tuple[Any, str, Any]] = []
    try:
        for path, label in labels.items():
            module_name, name = path.split(":")
            module = importlib.import_module(module_name)
            if "." in name:
                _wrap_member(getattr(module, name.split(".")[0]), name.split(".")[1], clock, label, undo)
            else:
                _wrap_everywhere(getattr(module, name), clock, label, undo)
        yield clock
    finally:
        for owner, name, original in reversed(undo):
            setattr(owner, name, original)


def _wrap_everywhere(original: Any, clock: Clock, label: str, undo: list[tuple[Any, str, Any]]) -> None:
    """Replace a function in every module of the package that imported it."""
    timed = clock.wrap(original, label)
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] == "gifepanel"]:
        for name, value in list(vars(module).items()):
            if value is original:
                undo.append((module, name, original))
                setattr(module, name, timed)


def _wrap_member(owner: type, name: str, clock: Clock, label: str, undo: list[tuple[Any, str, Any]]) -> None:
    """Replace a method or a cached property."""
    original = vars(owner)[name]
    undo.append((owner, name, original))
    if isinstance(original, functools.cached_property):
        timed: Any = functools.cached_property(clock.wrap(original.func, label))
        timed.__set_name__(owner, name)
    else:
        timed = clock.wrap(original, label)
    setattr(owner, name, timed)
