"""Least squares with interactive fixed effects, one objective for one or many groups of slopes.

The objective of Bai (2009, eqs. 9-12), with the factors concentrated out (Moon & Weidner 2015, eq. 2.3),

    L(theta) = sum_{r > R} mu_r[ (Y - X theta)'(Y - X theta) ],

is minimised over the slopes alone. Its gradient is -2 sum_it x_it e_it with e the residual after the R leading
components. The first step solves the normal equations projected on both sides, W = M_Lambda Z M_F (Moon & Weidner
2017, eq. 2.8), and a quasi-Newton update of W gives the steps after it; where a step would raise the objective, the
monotone step of Bai (theta given F) is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
from scipy.linalg import lstsq

from gifepanel.kernels.passes import gradient_pass
from gifepanel.parallel import each
from gifepanel.solvers.approach import approached
from gifepanel.solvers.arrays import Array, Components, PanelArrays, principal_components, residuals
from gifepanel.solvers.blocked import BlockedPanel
from gifepanel.solvers.by_moments import evaluated, gram_of_moments
from gifepanel.solvers.group_moments import MomentResiduals
from gifepanel.solvers.orthogonal_slopes import combinations

__all__ = [
    "InteractiveFit",
    "LocalMinimum",
    "Named",
    "SlopeMap",
    "best_of",
    "fit_interactive",
    "fit_interactive_multistart",
    "fit_nearby",
    "record",
]

IntArray = np.ndarray[Any, np.dtype[np.int64]]
_ARMIJO = 1e-4
_HALVINGS = 30
_EXACT = 1e-13
_COLLINEAR = 1e-12
_WINDOW, _STALLED = 50, 1e-9
_NEAR = 1e-4
_ALIKE = 2e-5


@dataclass(frozen=True)
class SlopeMap:
    """Which free parameter is the slope of regressor j in group k.

    Attributes
    ----------
    groups : ndarray of int64, shape (N,)
        The group of each unit, 0..K-1.
    slots : ndarray of int64, shape (K, p)
        The position in theta of each group's slopes. A slope that is common has one position in every row.
    """

    groups: IntArray
    slots: IntArray

    @classmethod
    def grouped(cls, groups: IntArray, n_groups: int, p: int, common: Sequence[int] = ()) -> SlopeMap:
        """Slopes by group, those of the regressors in `common` shared; theta lists the common ones first."""
        slots = np.empty((n_groups, p), dtype=np.int64)
        slots[:, list(common)] = np.arange(len(common))
        free = [j for j in range(p) if j not in set(common)]
        for k in range(n_groups):
            slots[k, free] = len(common) + k * len(free) + np.arange(len(free))
        return cls(np.asarray(groups, dtype=np.int64), slots)

    @cached_property
    def size(self) -> int:
        """Number of free parameters q."""
        return int(self.slots.max()) + 1 if self.slots.size else 0

    @property
    def blocks(self) -> list[list[int]]:
        """Regressors whose slopes differ across groups, and those whose slopes are common."""
        common = (self.slots == self.slots[0]).all(axis=0) & (len(self.slots) > 1)
        return [block for block in (np.flatnonzero(~common).tolist(), np.flatnonzero(common).tolist()) if block]

    def unit_slopes(self, theta: Array) -> Array:
        """(N, p) from theta (q,)."""
        return theta[self.slots][self.groups]

    def gather(self, unit_values: Array) -> Array:
        """Sum unit-level values (N, p) into the parameters: (q,)."""
        out = np.zeros(self.size)
        for slot, members in zip(self.slots, self.members, strict=True):
            out[slot] += unit_values[members].sum(axis=0)
        return out

    @cached_property
    def members(self) -> list[IntArray]:
        """The units of each group."""
        return [np.flatnonzero(self.groups == k) for k in range(len(self.slots))]


@dataclass(frozen=True)
class LocalMinimum:
    """A distinct minimum met on the way.

    Attributes
    ----------
    ssr : float
    theta : ndarray, shape (q,)
    starts : tuple of str
        The starts of slopes and factors that led to it.
    n_groupings : int
        How many of the groupings tried led to it.
    """

    ssr: float
    theta: Array
    starts: tuple[str, ...]
    n_groupings: int = 0


@dataclass(frozen=True)
class InteractiveFit:
    """A minimum of the least-squares objective.

    Attributes
    ----------
    theta : ndarray, shape (q,)
        Slopes, in the units of the solver's regressors.
    components : Components
        Factors, loadings and time effect of ``Y - X theta``.
    resid : ndarray, shape (N, T), or MomentResiduals
        After slopes, factors and additive effects; of a panel in blocks they are not written down, nor are loadings.
    ssr : float
    converged : bool
    n_iter : int
    gradient : float
        Length of the last step in the metric of W, relative to the residual: 0 at a stationary point.
    minima : tuple of LocalMinimum
        Distinct minima over the starts, best first.
    """

    theta: Array
    components: Components
    resid: Array | MomentResiduals
    ssr: float
    converged: bool
    n_iter: int
    gradient: float
    minima: tuple[LocalMinimum, ...] = ()


Named: TypeAlias = tuple[InteractiveFit, tuple[str, ...]]  # a fit and the starts that led to it


def projected_gram(data: PanelArrays, slopes: SlopeMap, factors: Array, loadings: Array) -> Array:
    """W (q, q) with entries tr(M_F Z_q' M_Lambda Z_q'), never forming Z (Moon & Weidner 2017, eq. 2.8).

    With time effects the vector of ones is one of the loadings.
    """
    if isinstance(data, BlockedPanel):
        return gram_of_moments(data, slopes.groups, slopes.slots, factors, None)
    n, t, p = data.shape
    q = slopes.size
    basis = _loading_basis(data, loadings)
    x_factors = (data.xt.reshape(n * p, t) @ factors).reshape(n, p, -1)
    own = data.xx - np.einsum("npr,nqr->npq", x_factors, x_factors) / t
    gram = np.zeros((q, q))
    mixed = np.zeros((q, basis.shape[1], t))
    for slot, members in zip(slopes.slots, slopes.members, strict=True):
        gram[slot[:, None], slot] += own[members].sum(axis=0)
        if basis.shape[1]:
            block = basis[members].T @ data.xt[members].reshape(len(members), p * t)
            mixed[slot] += block.reshape(-1, p, t).transpose(1, 0, 2)
    if basis.shape[1]:
        mixed -= (mixed @ factors) @ factors.T / t
        flat = mixed.reshape(q, -1)
        gram -= flat @ flat.T
    return gram


def _loading_basis(data: PanelArrays, loadings: Array) -> Array:
    """Orthonormal columns (N, R or R + 1) spanning the loadings and, with time effects, the ones."""
    n = data.y.shape[0]
    known = np.full((n, 1), 1.0 / np.sqrt(n)) if data.time_effects else np.empty((n, 0))
    norms = np.linalg.norm(loadings, axis=0)
    keep = norms > 1e-12 * max(norms.max(initial=0.0), np.finfo(float).tiny)
    return np.hstack([known, loadings[:, keep] / norms[keep]])


@dataclass
class _Point:
    theta: Array
    components: Components
    resid: Array | MomentResiduals
    gradient: Array
    resolution: float = 0.0  # rounding of the objective

    @property
    def value(self) -> float:
        return self.components.ssr


def _evaluate(data: PanelArrays, slopes: SlopeMap, n_factors: int, theta: Array) -> _Point:
    if isinstance(data, BlockedPanel):
        return _Point(theta, *evaluated(data, slopes.groups, slopes.slots, n_factors, theta))
    resid = residuals(data, slopes.unit_slopes(theta))
    comp = principal_components(resid, n_factors, time_effects=data.time_effects)
    if n_factors:
        resid -= comp.loadings @ comp.factors.T
        comp = replace(comp, ssr=float(np.vdot(resid, resid)))
    return _Point(theta, comp, resid, -2.0 * slopes.gather(gradient_pass(data.xt, resid)))


def _solve(matrix: Array, rhs: Array, size: Array) -> Array:
    """Least-norm solution of a positive semidefinite system that may be singular."""
    scale = _scaling(matrix, size)
    solution = lstsq(matrix * scale * scale[:, None], rhs * scale, cond=1e-12, check_finite=False)[0]
    return np.asarray(solution * scale)


def _scaling(matrix: Array, size: Array) -> Array:
    """One over the lengths of the projected regressors; 0 for one that `size`, its raw length, shows to be rounding."""
    diagonal = np.diag(matrix)
    left = diagonal > _COLLINEAR * size
    return np.where(left, 1.0 / np.sqrt(np.where(left, diagonal, 1.0)), 0.0)


def _monotone_step(data: PanelArrays, slopes: SlopeMap, n_factors: int, point: _Point) -> _Point:
    """theta given F (Bai 2009, eq. 11): never raises the objective."""
    gram = projected_gram(data, slopes, point.components.factors, np.empty((data.shape[0], 0)))
    step = _solve(gram, 0.5 * point.gradient, _raw_size(data, slopes))
    return _evaluate(data, slopes, n_factors, point.theta - step)


def _raw_size(data: PanelArrays, slopes: SlopeMap) -> Array:
    """Sums of squares of the regressors that belong to the free parameters (q,)."""
    return slopes.gather(np.einsum("npp->np", data.xx))


def fit_interactive(
    data: PanelArrays,
    slopes: SlopeMap,
    n_factors: int,
    theta: Array,
    *,
    tol: float = 1e-9,
    max_iter: int = 500,
    known: InteractiveFit | None = None,
) -> InteractiveFit:
    """Descend to a minimum from `theta`.

    Parameters
    ----------
    data : PanelArrays
    slopes : SlopeMap
    n_factors : int
        R.
    theta : ndarray, shape (q,)
        Start.
    tol : float
        Stop when the next step, in the metric of W, is below `tol` times the norm of the residual.
    max_iter : int
    known : InteractiveFit, optional
        A minimum; a descent that comes within 1 % of its residuals from above is taken to lead there.
    """
    theta = np.asarray(theta, dtype=float)
    if slopes.size == 0 or max_iter == 0:
        point = _evaluate(data, slopes, n_factors, theta)
        return InteractiveFit(point.theta, point.components, point.resid, point.value, slopes.size == 0, 0, 0.0)
    combined = combinations(data, slopes.blocks)
    if combined is None:
        return _descend(data, slopes, n_factors, theta, tol, max_iter, known)
    fit = _descend(combined.data, slopes, n_factors, combined.forth(theta, slopes.slots), tol, max_iter, known)
    return fit if fit is known else replace(fit, theta=combined.back(fit.theta, slopes.slots))


def _descend(
    data: PanelArrays,
    slopes: SlopeMap,
    n_factors: int,
    theta: Array,
    tol: float,
    max_iter: int,
    known: InteractiveFit | None,
) -> InteractiveFit:
    """The descent itself, on regressors that are not nearly collinear."""
    point = _evaluate(data, slopes, n_factors, theta)
    if known is not None and _leads_to(known, point):
        return known
    gram = _metric(data, slopes, point)
    inverse = 0.5 * _pseudo_inverse(gram, _raw_size(data, slopes))
    measure = np.inf
    floor = _resolution(data)
    path = [point.value]
    for iteration in range(1, max_iter + 1):
        direction = -inverse @ point.gradient
        slope = float(direction @ point.gradient)
        measure = _measure(slope, point, floor)
        if measure <= tol:
            return _finish(point, True, iteration - 1, measure)
        new = _line_search(data, slopes, n_factors, point, direction, slope)
        if new is None:
            new = _monotone_step(data, slopes, n_factors, point)
            if not new.value < point.value * (1.0 - 1e-14):
                return _finish(point, measure <= 1e3 * tol, iteration, measure)
            inverse = 0.5 * _pseudo_inverse(_metric(data, slopes, new), _raw_size(data, slopes))
        else:
            inverse = _update(inverse, new.theta - point.theta, new.gradient - point.gradient)
        point = new
        path.append(point.value)
        if known is not None and _leads_to(known, point):
            return known
        if iteration >= _WINDOW and path[-1 - _WINDOW] - path[-1] <= _STALLED * path[-1]:
            # the infimum is at infinity: loadings, and a slope on something like them, grow without bound
            return _finish(point, False, iteration, measure)
    return _finish(point, False, max_iter, measure)


def _leads_to(known: InteractiveFit, point: _Point) -> bool:
    if not 0.0 <= point.value - known.ssr <= _NEAR * known.ssr:
        return False
    return _distance(point.resid, known.resid) <= _NEAR * known.ssr


def _distance(a: Array | MomentResiduals, b: Array | MomentResiduals) -> float:
    """The sum of squared differences of residuals."""
    if isinstance(a, MomentResiduals) or isinstance(b, MomentResiduals):
        return a.distance(b) if isinstance(a, MomentResiduals) and isinstance(b, MomentResiduals) else np.inf
    difference = a - b
    return float(np.vdot(difference, difference))


def _metric(data: PanelArrays, slopes: SlopeMap, point: _Point) -> Array:
    if isinstance(data, BlockedPanel):
        alpha = np.asarray(point.theta[slopes.slots])
        return gram_of_moments(data, slopes.groups, slopes.slots, point.components.factors, alpha)
    return projected_gram(data, slopes, point.components.factors, point.components.loadings)


def _resolution(data: PanelArrays) -> float:
    """Sums of squares below this are rounding: the outcome is fitted exactly."""
    return max(_EXACT**2 * float(data.yy.sum()), np.finfo(float).tiny)


def _measure(slope: float, point: _Point, floor: float) -> float:
    """sqrt(step' W step / ssr): the size of the next step relative to the residual, 0 where there is no residual."""
    if point.value <= floor:
        return 0.0
    return float(np.sqrt(max(-slope, 0.0) / (2.0 * point.value)))


def _pseudo_inverse(gram: Array, size: Array) -> Array:
    scale = _scaling(gram, size)
    inverse = np.linalg.pinv(gram * scale * scale[:, None], rcond=1e-10, hermitian=True)
    return inverse * scale * scale[:, None]


def _line_search(
    data: PanelArrays, slopes: SlopeMap, n_factors: int, point: _Point, direction: Array, slope: float
) -> _Point | None:
    step = 1.0
    for _ in range(_HALVINGS):
        new = _evaluate(data, slopes, n_factors, point.theta + step * direction)
        if new.value <= point.value + _ARMIJO * step * slope:
            return new
        if abs(slope) <= max(1e-13 * point.value, point.resolution):
            # below the resolution of the objective: judge by the gradient
            return new if np.abs(new.gradient).sum() < np.abs(point.gradient).sum() else None
        step *= 0.5 if step > 0.1 else 0.1
    return None


def _update(inverse: Array, s: Array, g: Array) -> Array:
    """BFGS update of the inverse Hessian; skipped where the curvature is not positive."""
    curvature = float(s @ g)
    if curvature <= 1e-12 * float(np.linalg.norm(s) * np.linalg.norm(g)):
        return inverse
    hg = inverse @ g
    return (
        inverse
        + np.outer(s, s) * (1.0 + float(g @ hg) / curvature) / curvature
        - (np.outer(hg, s) + np.outer(s, hg)) / curvature
    )


def _finish(point: _Point, converged: bool, n_iter: int, measure: float) -> InteractiveFit:
    return InteractiveFit(point.theta, point.components, point.resid, point.value, converged, n_iter, measure)


def fit_interactive_multistart(
    data: PanelArrays,
    slopes: SlopeMap,
    n_factors: int,
    starts: Iterable[tuple[str, Array]],
    *,
    tol: float = 1e-9,
    max_iter: int = 500,
    known: InteractiveFit | None = None,
) -> InteractiveFit:
    """The best minimum over named starts, with the audit of all minima found.

    Starts that lead to `known` end early, see :func:`fit_interactive`: they come near first, by cheap steps.
    """
    named = list(starts)
    descend = partial(fit_interactive if known is None else fit_nearby, tol=tol, max_iter=max_iter, known=known)
    found: list[Named] = []
    fits = each(descend, [(data, slopes, n_factors, theta) for _, theta in named])
    for (name, _), fit in zip(named, fits, strict=True):
        record(data, found, fit, name)
    return best_of(found)


def fit_nearby(data: PanelArrays, slopes: SlopeMap, n_factors: int, theta: Array, **options: Any) -> InteractiveFit:
    """As :func:`fit_interactive`, from where cheap steps lead."""
    near = approached(data, slopes.groups, slopes.slots, n_factors, theta)
    return fit_interactive(data, slopes, n_factors, near, **options)


def best_of(found: Sequence[Named]) -> InteractiveFit:
    """The fit with the smallest sum of squares, with all minima found."""
    if not found:
        raise ValueError("no starts given")
    ordered = sorted(found, key=lambda entry: entry[0].ssr)
    return replace(ordered[0][0], minima=tuple(LocalMinimum(fit.ssr, fit.theta, names) for fit, names in ordered))


def record(data: PanelArrays, found: list[Named], fit: InteractiveFit, name: str) -> int:
    """Add `fit`, or put it together with the same minimum, of which the lower fit is kept; its position."""
    for j, (known, names) in enumerate(found):
        if _same_minimum(known, fit, _resolution(data)):
            found[j] = (fit if fit.ssr < known.ssr else known, (*names, name))
            return j
    found.append((fit, (name,)))
    return len(found) - 1


def _same_minimum(a: InteractiveFit, b: InteractiveFit, floor: float) -> bool:
    """Equal sums of squares, or residuals that nearly agree: points on the way to one infimum at infinity."""
    gap, size = abs(a.ssr - b.ssr), max(a.ssr, b.ssr)
    if gap <= max(1e-7 * size, floor):
        return True
    if gap > _ALIKE * size:
        return False
    return _distance(a.resid, b.resid) <= _ALIKE * size
