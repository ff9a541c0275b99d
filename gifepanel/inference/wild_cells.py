"""What the nuisance part adds to the score sums of a wild cluster bootstrap, by sums over cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from gifepanel.exceptions import ConvergenceError
from gifepanel.inference.clusters import ClusterWay, nested_effects
from gifepanel.inference.space import FloatArray
from gifepanel.projections.absorb import Absorption
from gifepanel.projections.controls import Controls
from gifepanel.projections.reduced import PivotedCholesky
from gifepanel.projections.system import Effect, EffectSystem

__all__ = ["nuisance_product"]

_DENSE = 2_000  # unknowns of a reduced system that is factorised as a dense matrix
_COLUMNS = 32  # columns residualised at once where it is not


def nuisance_product(
    direction: FloatArray,
    u: FloatArray,
    way: ClusterWay,
    effects: Sequence[Effect],
    controls: FloatArray | None,
    root: FloatArray | None,
) -> tuple[FloatArray, FloatArray]:
    """B (D'WD)^+ C' for u, and the same for the direction in its place.

    Parameters
    ----------
    direction : ndarray, shape (n,)
        x~a times sqrt(w).
    u : ndarray, shape (n,)
        Residuals times sqrt(w).
    way : ClusterWay
    effects : sequence of Effect
    controls : ndarray, shape (n, m), optional
        Residualised on the effects, not multiplied by sqrt(w).
    root : ndarray, shape (n,), optional
        sqrt(w).

    Returns
    -------
    (ndarray, ndarray), each of shape (G, G)
        Element (g, h): what v_h u_h, fitted by the nuisance part, gives to the score sum of cluster g.
    """
    out = np.zeros((2, way.n_groups, way.n_groups))
    if controls is not None and controls.shape[1]:
        basis = Controls.from_columns(controls, None if root is None else root**2).q
        left = way.sums(basis * direction[:, None])
        out[0] += left @ way.sums(basis * u[:, None]).T
        out[1] += left @ left.T
    if effects and not _all_nested(effects, way):
        weights = None if root is None else root**2
        system = EffectSystem.build(effects, weights)
        if system.size <= _DENSE:
            _add_by_cells(out, direction, u, way, system, root)
        else:
            _add_by_columns(out, direction, u, way, effects, weights, root)
    return out[0], out[1]


def _all_nested(effects: Sequence[Effect], way: ClusterWay) -> bool:
    """Residualised columns sum to zero in every level within a cluster: all cells vanish."""
    return bool(nested_effects(effects, [way]).all())


def _add_by_cells(
    out: FloatArray,
    direction: FloatArray,
    u: FloatArray,
    way: ClusterWay,
    system: EffectSystem,
    root: FloatArray | None,
) -> None:
    """The base effect's levels by their weights, the other effects through the reduced system S.

    Where all effects are slopes there is no base, and S is of them all.
    """
    codes = way.codes if system.order is None else way.codes[system.order]
    columns = []
    for column in (direction, u):
        weighted = column if root is None else column * root
        columns.append(weighted if system.order is None else weighted[system.order])
    others = [_other_cells(weighted, codes, way.n_groups, system) for weighted in columns] if system.size else []
    if system.base >= 0:
        level = np.repeat(np.arange(len(system.starts) - 1), np.diff(system.starts))
        shape, scale = (way.n_groups, len(system.starts) - 1), system.inverse_weights
        bases = [sparse.csr_matrix((weighted, (codes, level)), shape=shape) for weighted in columns]
        scaled = [base.multiply(scale) for base in bases]
        out[0] += (scaled[0] @ bases[1].T).toarray()
        out[1] += (scaled[0] @ bases[0].T).toarray()
        if system.size:
            others = [sums - (base @ system.cells).toarray() for sums, base in zip(others, scaled, strict=True)]
    if system.size:
        factor = PivotedCholesky.of(system.schur().toarray(), system.lengths).half_inverse()
        left, right = others[0] @ factor, others[1] @ factor
        out[0] += left @ right.T
        out[1] += left @ left.T


def _other_cells(weighted: FloatArray, codes: np.ndarray, n_groups: int, system: EffectSystem) -> FloatArray:
    """Sums by cluster and level of the effects that are not the base: (G, M)."""
    total = np.zeros(n_groups * system.size)
    for j in range(system.codes.shape[0]):
        part = weighted * system.values[j] if system.values.size else weighted
        total += np.bincount(codes * system.size + system.codes[j], weights=part, minlength=total.size)
    return total.reshape(n_groups, system.size)


def _add_by_columns(
    out: FloatArray,
    direction: FloatArray,
    u: FloatArray,
    way: ClusterWay,
    effects: Sequence[Effect],
    weights: FloatArray | None,
    root: FloatArray | None,
) -> None:
    """Fit each cluster's part of u and of the direction by the effects, some clusters at a time."""
    absorption = Absorption(effects, weights)
    n = len(u)
    unit = np.ones(n) if root is None else np.where(root > 0, root, 1.0)
    for which, column in ((0, u), (1, direction)):
        for first in range(0, way.n_groups, _COLUMNS):
            last = min(first + _COLUMNS, way.n_groups)
            mine = (way.codes >= first) & (way.codes < last)
            columns = np.zeros((n, last - first))
            columns[mine, way.codes[mine] - first] = (column / unit)[mine]
            residuals, certificate = absorption.residualize(columns)
            if not certificate.converged:
                raise ConvergenceError(
                    f"Effects could not be taken out of the bootstrap residuals (residual {certificate.residual:.1e}).",
                    "The wild bootstrap needs them fitted exactly.",
                    "Cluster by a variable that contains the largest effect.",
                )
            fitted = columns - residuals
            out[which][:, first:last] += way.sums(fitted * (direction * unit)[:, None])
