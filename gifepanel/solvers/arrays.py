"""The data of a balanced panel as the solvers hold them, and what they do with a set of factors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
from scipy.linalg.lapack import dsyevr, dsyevr_lwork

from gifepanel.kernels.passes import cross_moments, deflate, residual_pass

Array = np.ndarray[Any, np.dtype[np.float64]]
_CANCELLED = 1e-6

__all__ = [
    "Array",
    "Components",
    "GroupedData",
    "PanelArrays",
    "UnitQuadratics",
    "components_of_gram",
    "components_of_triangle",
    "demean",
    "prepare",
    "principal_components",
    "residuals",
    "unit_quadratics",
]


class GroupedData(Protocol):
    """What the penalised stage asks of a panel, complete or not; see :class:`PanelArrays` for what is meant."""

    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def scale(self) -> Array: ...
    @property
    def n_cells(self) -> int: ...
    @property
    def periods(self) -> float: ...
    def moves(self, n_factors: int) -> bool: ...
    def is_bounded(self, n_factors: int) -> bool: ...
    def room(self) -> Array: ...
    def components(
        self, beta: Array, n_factors: int, *, last: Components | None = None, room: Array | None = None
    ) -> Components: ...
    def quadratics(self, components: Components) -> UnitQuadratics: ...
    def rescaled(self, factor: Array) -> Self: ...
    def subset_of_columns(
        self, free: np.ndarray[Any, np.dtype[np.int64]], common: Any, gamma: Array
    ) -> GroupedData: ...


@dataclass(frozen=True)
class PanelArrays:
    """A balanced panel, ready for the solvers.

    Attributes
    ----------
    y : ndarray, shape (N, T)
        The outcome, less its entity means where entity effects are absorbed.
    xt : ndarray, shape (N, p, T)
        The regressors likewise, time last, divided by `scale`.
    xx, xy, yy : ndarray, shapes (N, p, p), (N, p), (N,)
        X_i'X_i, X_i'y_i and y_i'y_i.
    scale : ndarray, shape (p,)
        Slopes of the solvers are `scale` times the slopes of the data.
    entity_effects, time_effects : bool
        Entity effects are gone from `y` and `xt`. Time effects are not, since slopes that differ across units do not
        commute with them: the solvers concentrate them out of the residuals.
    """

    y: Array
    xt: Array
    xx: Array
    xy: Array
    yy: Array
    scale: Array
    entity_effects: bool = False
    time_effects: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, p)."""
        n, p, t = self.xt.shape
        return n, t, p

    @property
    def own(self) -> Any:
        """The panel as what has a row for each entity."""
        return self

    @property
    def n_cells(self) -> int:
        """NT."""
        return int(self.y.size)

    @property
    def periods(self) -> float:
        """Periods of an entity, on average."""
        return self.y.shape[1]

    def moves(self, n_factors: int) -> bool:
        """Whether what is concentrated out depends on the slopes."""
        return bool(n_factors or self.time_effects)

    def is_bounded(self, n_factors: int) -> bool:
        """Whether every entity has periods to spare for its own coefficients."""
        return True

    def room(self) -> Array:
        """For residuals."""
        return np.empty_like(self.y)

    def components(
        self, beta: Array, n_factors: int, *, last: Components | None = None, room: Array | None = None
    ) -> Components:
        """Factors and time effect at unit slopes (N, p), whatever the `last` ones were."""
        return principal_components(residuals(self, beta, room), n_factors, time_effects=self.time_effects)

    def quadratics(self, components: Components) -> UnitQuadratics:
        """Every unit's sum of squares under factors and time effect."""
        return unit_quadratics(self, components.factors, components.time_effect)

    def take(self, units: np.ndarray[Any, np.dtype[np.int64]]) -> PanelArrays:
        """Some of the entities."""
        moments = (self.xx[units], self.xy[units], self.yy[units])
        effects = (self.entity_effects, self.time_effects)
        return PanelArrays(self.y[units], self.xt[units], *moments, self.scale, *effects)

    def rescaled(self, factor: Array) -> PanelArrays:
        """The same panel with regressor j divided by ``factor[j]``."""
        return replace(
            self,
            xt=self.xt / factor[None, :, None],
            xx=self.xx / (factor[:, None] * factor),
            xy=self.xy / factor,
            scale=self.scale * factor,
        )

    def subset_of_columns(self, free: np.ndarray[Any, np.dtype[np.int64]], common: Any, gamma: Array) -> PanelArrays:
        """The panel in the regressors `free`, the others taken out of the outcome at slopes `gamma`."""
        y = self.y - np.einsum("nwt,w->nt", self.xt[:, common], gamma)
        xt = np.ascontiguousarray(self.xt[:, free])
        xx, xy, yy = cross_moments(y, xt)
        return replace(self, y=y, xt=xt, xx=xx, xy=xy, yy=yy, scale=self.scale[free])


def prepare(
    y: Array,
    x: Array,
    *,
    entity_effects: bool = False,
    time_effects: bool = False,
    standardize: bool = False,
) -> PanelArrays:
    """Lay a balanced panel out for the solvers.

    Parameters
    ----------
    y : ndarray, shape (N, T)
    x : ndarray, shape (N, T, p)
    entity_effects, time_effects : bool
    standardize : bool
        Divide every regressor by its root mean square (after entity effects).
    """
    y = np.array(y, dtype=np.float64, order="C")
    xt = np.ascontiguousarray(np.swapaxes(np.asarray(x, dtype=np.float64), 1, 2))
    if np.may_share_memory(xt, x):
        xt = xt.copy()
    if entity_effects:
        demean(y)
        demean(xt)
    scale = np.ones(xt.shape[1])
    if standardize:
        rms = _root_mean_squares(xt)
        scale = np.where(rms > 0, rms, 1.0)
        xt /= scale[None, :, None]
    xx, xy, yy = cross_moments(y, xt)
    return PanelArrays(y, xt, xx, xy, yy, scale, entity_effects, time_effects)


def _root_mean_squares(xt: Array) -> Array:
    """Of every regressor (p,); exact sums over the units, so that their order changes no digit."""
    n, _, t = xt.shape
    by_unit = np.square(xt).sum(axis=2)
    return np.sqrt([math.fsum(column) / (n * t) for column in by_unit.T])


def demean(series: Array) -> None:
    """Take means over the last axis out, in place; a constant series leaves zeros, not rounding."""
    size = np.abs(series).max(axis=-1, keepdims=True, initial=0.0)
    series -= series.mean(axis=-1, keepdims=True)
    spread = np.abs(series).max(axis=-1, keepdims=True, initial=0.0)
    series *= spread > 8.0 * np.finfo(float).eps * size


@dataclass(frozen=True)
class Components:
    """Principal components of a residual matrix.

    Attributes
    ----------
    factors : ndarray, shape (T, R)
        With F'F/T = I.
    loadings : ndarray, shape (N, R)
        Orthogonal, by decreasing length.
    time_effect : ndarray, shape (T,)
        Zero where no time effects are absorbed.
    ssr : float
        Sum of squares left.
    """

    factors: Array
    loadings: Array
    time_effect: Array
    ssr: float

    def of_columns(self, columns: np.ndarray[Any, np.dtype[np.int64]]) -> Self:
        """The same for slopes of some of the regressors."""
        return self

    def rescaled(self, factor: Array) -> Self:
        """The same for slopes times `factor` (p,)."""
        return self


def principal_components(resid: Array, n_factors: int, *, time_effects: bool = False) -> Components:
    """The best rank-R approximation of `resid` (N, T), from the smaller of its two Gram matrices.

    With `time_effects` the period means are taken out of `resid`, in place, first.
    """
    n, t = resid.shape
    effect = np.zeros(t)
    if time_effects:
        effect = resid.mean(axis=0)
        resid -= effect
    if n_factors == 0:
        flat = resid.ravel()
        return Components(np.empty((t, 0)), np.empty((n, 0)), effect, float(flat @ flat))
    vectors, ssr = _leading(resid if t <= n else resid.T, n_factors)
    if t > n:
        # orthogonal by themselves, but for factors whose eigenvalue is rounding
        vectors = np.linalg.qr(resid.T @ vectors)[0]
    factors = vectors * np.sqrt(t)
    return Components(factors, resid @ factors / t, effect, ssr)


def components_of_gram(gram: Array, mean: Array, n: int, n_factors: int) -> Components | None:
    """Components of n residual vectors (T,) by their Gram matrix (T, T), without loadings.

    None where factors leave so little that it has lost its digits there.
    """
    t = len(gram)
    if n_factors == 0:
        return Components(np.empty((t, 0)), np.empty((n, 0)), mean, float(np.trace(gram)))
    total = float(np.trace(gram))
    values, vectors = _top(gram, n_factors)
    ssr = total - float(values.sum())
    return Components(vectors * np.sqrt(t), np.empty((n, 0)), mean, ssr) if ssr >= _CANCELLED * total else None


def components_of_triangle(triangle: Array, mean: Array, n: int, n_factors: int) -> Components:
    """The same from a triangle (T, T) whose cross products are that matrix."""
    t = triangle.shape[1]
    _, singular, rows = np.linalg.svd(triangle)
    left = singular[n_factors:]
    factors = np.ascontiguousarray(rows[:n_factors].T) * np.sqrt(t)
    return Components(factors, np.empty((n, 0)), mean, float(left @ left))


def _leading(tall: Array, n: int) -> tuple[Array, float]:
    """The `n` leading right singular vectors of a tall matrix and the sum of squares they leave.

    From the Gram matrix, unless the leading ones are so large that what they leave has lost its digits there.
    """
    gram = tall.T @ tall
    total = float(gram.trace())
    values, vectors = _top(gram, n)
    ssr = total - float(values.sum())
    if ssr >= _CANCELLED * total:
        return vectors, ssr
    _, singular, rows = np.linalg.svd(np.linalg.qr(tall, mode="r"))
    return np.ascontiguousarray(rows[:n].T), float(singular[n:] @ singular[n:])


def _top(gram: Array, n: int) -> tuple[Array, Array]:
    """The `n` largest eigenvalues of a symmetric matrix, decreasing, and their eigenvectors."""
    size = gram.shape[0]
    room, integers = _room(size)
    values, vectors, _, _, failed = dsyevr(
        gram.T, range="I", lower=1, il=size - n + 1, iu=size, lwork=room, liwork=integers, overwrite_a=1
    )
    if failed:
        raise np.linalg.LinAlgError("eigenvalues did not converge")
    return values[:n][::-1], np.ascontiguousarray(vectors[:, :n][:, ::-1])


@cache
def _room(size: int) -> tuple[int, int]:
    """What LAPACK asks for: reals and integers."""
    reals, integers, _ = dsyevr_lwork(size, lower=1)
    return int(reals), int(integers)


def residuals(data: PanelArrays, beta: Array, out: Array | None = None) -> Array:
    """y_i - X_i beta_i for unit slopes (N, p), into `out` (N, T) where given."""
    if out is None:
        out = np.empty_like(data.y)
    residual_pass(data.y, data.xt, np.ascontiguousarray(beta), out)
    return out


@dataclass(frozen=True)
class UnitQuadratics:
    """Every unit's sum of squares as a function of its slopes, given factors.

    ``s - 2 c'b + b'a b`` is the squared norm of M_F (y_i - time effect - X_i b).

    Attributes
    ----------
    a : ndarray, shape (N, p, p)
        X_i'M_F X_i.
    c : ndarray, shape (N, p)
        X_i'M_F y_i.
    s : ndarray, shape (N,)
        y_i'M_F y_i.
    """

    a: Array
    c: Array
    s: Array


def unit_quadratics(data: PanelArrays, factors: Array, time_effect: Array) -> UnitQuadratics:
    """The unit sums of squares under `factors` (T, R) and `time_effect` (T,)."""
    n, t, p = data.shape
    xy, yy = data.xy, data.yy
    y_factors = data.y @ factors
    if data.time_effects:
        yy = yy - 2.0 * (data.y @ time_effect) + time_effect @ time_effect
        xy = xy - (data.xt.reshape(n * p, t) @ time_effect).reshape(n, p)
        y_factors = y_factors - time_effect @ factors
    if factors.shape[1] == 0:
        return UnitQuadratics(data.xx, xy, yy)
    x_factors = (data.xt.reshape(n * p, t) @ factors).reshape(n, p, -1)
    a, c, s = np.empty_like(data.xx), np.empty_like(data.xy), np.empty_like(data.yy)
    deflate(data.xx, xy, yy, x_factors, y_factors, t, a, c, s)
    return UnitQuadratics(a, c, s)
