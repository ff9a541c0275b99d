"""What cells would have been without treatment: weights of the observed cells, and the variance of averages.

A fit to the observed cells S has the tangent space T = {a_i'b_t + l_i'f_t + z_it'tau} with b_t the known and estimated
factors of period t and l_i the known and estimated loadings of entity i. A counterfactual average over cells outside
of S, sum_c w_c yhat_c, moves to first order by sum_S v_it e_it, where v is the element of T over S with

    v'T_S = w'T_outside:

of all weights on S that reproduce w on the tangent space, those of the smallest norm (Gauss-Markov). Without factors
the model is linear, v holds exactly, and this is the imputation estimator of Borusyak, Jaravel & Spiess (2024, Review
of Economic Studies 91, 3253-3285, Theorem 1); with factors it is the delta method for that of Gobillon & Magnac (2016,
Review of Economics and Statistics 98, 535-551) and Xu (2017, Political Analysis 25, 57-76).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import SpecificationError

__all__ = [
    "CellWeights",
    "FittedCells",
    "OutsideCells",
    "SingleCells",
    "cell_variances",
    "cell_weights",
    "check_kind",
    "clustered_variances",
    "noise_variances",
    "plain_variances",
    "single_cells",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_RANK = 1e-9
_REACHED = 1e-6  # largest part of a functional that the observed cells may miss
_ELEMENTS = 1 << 22


@dataclass(frozen=True, eq=False)
class FittedCells:
    """What is needed of a least-squares fit to the observed cells of an N x T panel.

    Attributes
    ----------
    observed : ndarray of bool, shape (N, T)
    time_basis : ndarray, shape (N, T, r)
        Known and estimated factors b_it, which have a coefficient of each entity.
    unit_basis : ndarray, shape (N, T, s)
        Known and estimated loadings l_it, which have a coefficient of each period.
    z, z_projected : ndarray, shape (N, T, q)
        Regressors with a slope each, and their residuals on the tangent space without slopes.
    resid : ndarray, shape (N, T)
    df_resid : float
    root : ndarray, shape (N, T)
        Roots of the weights.

    Notes
    -----
    All are zero in holes, and multiplied by the roots of the weights where cells have weights.
    """

    observed: BoolArray
    time_basis: FloatArray
    unit_basis: FloatArray
    z: FloatArray
    z_projected: FloatArray
    resid: FloatArray
    df_resid: float
    root: FloatArray

    def weighted(self, cube: FloatArray) -> FloatArray:
        """A panel (N, T) times the roots of the weights, zero in holes."""
        return cube * self.root

    @property
    def nobs(self) -> int:
        """Observed cells."""
        return int(self.observed.sum())

    @property
    def sigma2(self) -> float:
        """Residual variance."""
        return float(np.vdot(self.resid, self.resid)) / self.df_resid

    @cached_property
    def spreads(self) -> FloatArray:
        """C_i (N, r, r) with C_i C_i' the pseudo-inverse of the Gram matrix of b_t over the periods of entity i."""
        gram = np.einsum("ntr,nts->nrs", self.time_basis, self.time_basis)
        values, vectors = np.linalg.eigh(gram)
        floor = _RANK * np.maximum(values[:, -1:], np.finfo(float).tiny) if values.shape[1] else values
        root = np.where(values > floor, 1 / np.sqrt(np.where(values > floor, values, 1.0)), 0.0)
        return np.asarray(vectors * root[:, None, :])

    @cached_property
    def entity_space(self) -> FloatArray:
        """Orthonormal columns over the periods of each entity (N, T, r), zero in holes."""
        return np.asarray(np.einsum("ntr,nrs->nts", self.time_basis, self.spreads))

    def off_entities(self, cube: FloatArray) -> FloatArray:
        """A cube (N, T, k) less what the coefficients of entities fit."""
        own = self.entity_space
        return np.asarray(cube - np.einsum("ntr,nrk->ntk", own, np.einsum("ntr,ntk->nrk", own, cube)))

    @cached_property
    def period_normal(self) -> FloatArray:
        """Normal equations (Ts, Ts) of the periods, entities concentrated out."""
        n_times, s = self.unit_basis.shape[1:]
        size = n_times * s
        normal = np.zeros((size, size))
        if not size:
            return normal
        blocks = np.einsum("ntr,nts->trs", self.unit_basis, self.unit_basis)
        at = np.arange(n_times)
        normal.reshape(n_times, s, n_times, s)[at, :, at, :] = blocks
        for rows in _blocks(len(self.observed), size * self.time_basis.shape[2]):
            part = np.einsum("ntr,nts->nrts", self.entity_space[rows], self.unit_basis[rows]).reshape(-1, size)
            normal -= part.T @ part
        return normal

    @cached_property
    def period_inverse(self) -> FloatArray:
        """Their pseudo-inverse (Ts, Ts)."""
        diagonal = np.einsum("ntr,ntr->tr", self.unit_basis, self.unit_basis).ravel()
        scale = np.sqrt(np.maximum(diagonal, np.finfo(float).tiny))
        values, vectors = np.linalg.eigh(self.period_normal / scale[:, None] / scale)
        kept = values > _RANK
        half = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
        return np.asarray(half @ half.T)

    @cached_property
    def slope_inverse(self) -> FloatArray:
        """(z~'z~)^-1 (q, q)."""
        if not self.z.shape[2]:
            return np.zeros((0, 0))
        z = self.z_projected.reshape(-1, self.z.shape[2])
        return np.asarray(np.linalg.pinv(z.T @ z, hermitian=True))

    @cached_property
    def squares(self) -> FloatArray:
        """Squared residuals (N, T) over one less their leverage, which sum to n times the residual variance.

        Leverages are those of entity and period by themselves, 1 - (1 - h_t(i)) (1 - h_i(t)): exact where the panel is
        complete and there are no slopes.
        """
        own = np.einsum("ntr,ntr->nt", self.entity_space, self.entity_space)
        gram = np.einsum("ntr,nts->trs", self.unit_basis, self.unit_basis)
        inverse = np.linalg.pinv(gram, hermitian=True) if self.unit_basis.shape[2] else gram
        other = np.einsum("ntr,trs,nts->nt", self.unit_basis, inverse, self.unit_basis)
        left = np.where(self.observed, np.clip((1 - own) * (1 - other), 1e-3, 1.0), 1.0)
        out = self.resid**2 / left
        total = float(out.sum())
        return out * (self.sigma2 * self.nobs / total) if total else out


@dataclass(frozen=True, eq=False)
class OutsideCells:
    """Cells that are not in the fit.

    Attributes
    ----------
    entity, time : ndarray of int64, shape (m,)
    time_basis, unit_basis, z : ndarray, shapes (m, r), (m, s) and (m, q)
        As of :class:`FittedCells`, weights of one.
    """

    entity: IntArray
    time: IntArray
    time_basis: FloatArray
    unit_basis: FloatArray
    z: FloatArray

    def take(self, rows: slice | BoolArray) -> OutsideCells:
        """Some of the cells."""
        bases = self.time_basis[rows], self.unit_basis[rows], self.z[rows]
        return OutsideCells(self.entity[rows], self.time[rows], *bases)


@dataclass(frozen=True, eq=False)
class CellWeights:
    """How k averages over outside cells hang on the observed ones.

    Attributes
    ----------
    inside : ndarray, shape (k, N, T)
        The weights v, zero in holes.
    reached : ndarray of bool, shape (k,)
        Whether the observed cells determine the average.
    """

    inside: FloatArray
    reached: BoolArray


def _blocks(n: int, row_size: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(1, row_size))
    for start in range(0, max(n, 1), step):
        yield slice(start, min(start + step, n))


def cell_weights(fit: FittedCells, cells: OutsideCells, combinations: npt.ArrayLike) -> CellWeights:
    """The weights on observed cells of averages over cells that are not observed.

    Parameters
    ----------
    fit : FittedCells
    cells : OutsideCells
    combinations : array_like, shape (k, m)
        Weights w of the m cells in each of k averages.

    Returns
    -------
    CellWeights
    """
    w = np.asarray(combinations, dtype=np.float64)
    n, t = fit.observed.shape
    k, own, by_time = len(w), fit.entity_space, fit.unit_basis.transpose(1, 2, 0)
    of_entity = np.zeros((n, fit.time_basis.shape[2], k))
    of_time = np.zeros((t, fit.unit_basis.shape[2], k))
    for j, row in enumerate(w):
        some = np.flatnonzero(row)
        np.add.at(of_entity[:, :, j], cells.entity[some], row[some, None] * cells.time_basis[some])
        if of_time.size:
            np.add.at(of_time[:, :, j], cells.time[some], row[some, None] * cells.unit_basis[some])
    v = own @ (fit.spreads.transpose(0, 2, 1) @ of_entity)
    left = of_time - by_time @ v.transpose(1, 0, 2)
    phi = (fit.period_inverse @ left.reshape(fit.unit_basis[0].size, k)).reshape(left.shape)
    moved = (fit.unit_basis.transpose(1, 0, 2) @ phi).transpose(1, 0, 2)
    v += moved - own @ (own.transpose(0, 2, 1) @ moved)
    if cells.z.shape[1]:
        flat = fit.z.reshape(n * t, -1), fit.z_projected.reshape(n * t, -1)
        tau = fit.slope_inverse @ ((w @ cells.z).T - flat[0].T @ v.reshape(n * t, k))
        v += (flat[1] @ tau).reshape(v.shape)
    missed = np.zeros(k)
    for found, wanted in (
        (fit.time_basis.transpose(0, 2, 1) @ v, of_entity),
        (by_time @ v.transpose(1, 0, 2), of_time),
    ):
        gap = np.abs(found - wanted).reshape(-1, k).max(axis=0, initial=0.0)
        scale = np.abs(wanted).reshape(-1, k).max(axis=0, initial=np.finfo(float).tiny)
        missed = np.maximum(missed, gap / scale)
    return CellWeights(v.transpose(2, 0, 1), missed <= _REACHED)


def noise_variances(fit: FittedCells, entities: IntArray, kind: str) -> FloatArray:
    """Variance of the error in a further cell of each of the entities (m,).

    That of all residuals for "nonrobust"; for other kinds that of the entity, where it has residuals to speak of.
    """
    if kind == "nonrobust":
        return np.full(len(entities), fit.sigma2)
    counts = fit.observed.sum(axis=1)
    rich = counts > 2 * fit.time_basis.shape[2] + 1
    own = np.where(rich, fit.squares.sum(axis=1) / np.maximum(counts, 1), fit.sigma2)
    return np.asarray(own[entities])


@dataclass(frozen=True, eq=False)
class SingleCells:
    """Outside cells by themselves.

    Attributes
    ----------
    own, common : ndarray, shape (m,)
        Squared weights of observed cells: through the coefficients of the cell's own entity, and through those of
        periods and slopes. Their sum is that of :func:`cell_weights` for the cell alone.
    dot : ndarray, shape (m,)
        Sum of weights times given values of the observed cells.
    reached : ndarray of bool, shape (m,)
    """

    own: FloatArray
    common: FloatArray
    dot: FloatArray
    reached: BoolArray


def single_cells(fit: FittedCells, cells: OutsideCells, values: FloatArray) -> SingleCells:
    """Weights of observed cells in each outside cell, in sums that need no N x T array for a cell.

    Parameters
    ----------
    fit : FittedCells
    cells : OutsideCells
    values : ndarray, shape (N, T)
        Of observed cells, for ``dot``; times the roots of the weights.
    """
    parts = [_single(fit, cells.take(rows), values) for rows in _blocks(len(cells.entity), fit.unit_basis[0].size)]
    fields = ("own", "common", "dot", "reached")
    return SingleCells(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _single(fit: FittedCells, cells: OutsideCells, values: FloatArray) -> SingleCells:
    i, m = cells.entity, len(cells.entity)
    a = np.einsum("mrs,mr->ms", fit.spreads[i], cells.time_basis)
    g = np.einsum("mtr,mr->mt", fit.entity_space[i], a)
    left = -fit.unit_basis[i] * g[:, :, None]
    if left.size:
        left[np.arange(m), cells.time] += cells.unit_basis
    flat = left.reshape(m, fit.unit_basis[0].size)
    phi = flat @ fit.period_inverse
    columns = np.concatenate([fit.z, values[:, :, None]], axis=2)
    through = np.einsum("ntq,nts->tsq", fit.off_entities(columns), fit.unit_basis)
    through = through.reshape(phi.shape[1], columns.shape[2])
    dots = np.einsum("mtq,mt->mq", columns[i], g) + phi @ through
    tau = (cells.z - dots[:, :-1]) @ fit.slope_inverse
    of_slopes = np.einsum("ntq,ntk->qk", fit.z_projected, columns)
    back = np.einsum("mtr,mt->mr", fit.time_basis[i], g)
    missed = np.abs(back - cells.time_basis).max(axis=1, initial=0.0)
    scale = np.abs(cells.time_basis).max(axis=1, initial=np.finfo(float).tiny)
    gap = np.abs(phi @ fit.period_normal - flat).max(axis=1, initial=0.0)
    size = np.abs(flat).max(axis=1, initial=np.finfo(float).tiny)
    common = (phi * flat).sum(axis=1) + np.einsum("mq,qk,mk->m", tau, of_slopes[:, :-1], tau)
    reached = (missed <= _REACHED * scale) & (gap <= _REACHED * np.maximum(size, scale))
    return SingleCells((a * a).sum(axis=1), common, dots[:, -1] + tau @ of_slopes[:, -1], reached)


def cell_variances(fit: FittedCells, cells: OutsideCells, single: SingleCells, kind: str) -> FloatArray:
    """Variance (m,) of the fitted value of each outside cell, its own error not in it.

    With one variance of errors for "nonrobust"; for other kinds what the entity's own periods say has the variance of
    the entity, and what factors, period effects and slopes say that of all.
    """
    own = noise_variances(fit, cells.entity, kind)
    return single.own * own + single.common * fit.sigma2


def plain_variances(
    fit: FittedCells, cells: OutsideCells, combinations: FloatArray, weights: CellWeights, kind: str
) -> FloatArray:
    """Variance (k,) of average effects, errors independent over cells.

    Estimation of the counterfactual, sum v^2 e^2, and the errors of the treated cells themselves, sum w^2 sigma^2:
    effects are those of the cells that were treated, not of a population that they were drawn from.

    Parameters
    ----------
    fit : FittedCells
    cells : OutsideCells
    combinations : ndarray, shape (k, m)
    weights : CellWeights
        Of the combinations.
    kind : {"nonrobust", "HC2"}
    """
    errors = np.where(fit.observed, fit.sigma2, 0.0) if kind == "nonrobust" else fit.squares
    inside = np.einsum("knt,knt,nt->k", weights.inside, weights.inside, errors)
    return np.asarray(inside + combinations**2 @ noise_variances(fit, cells.entity, kind))


def clustered_variances(
    fit: FittedCells,
    cells: OutsideCells,
    combinations: FloatArray,
    weights: CellWeights,
    effects: FloatArray,
    cohorts: IntArray,
    events: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Variance (k,) of average effects, errors of an entity dependent in any way; and degrees of freedom (k,).

    The conservative variance of Borusyak, Jaravel & Spiess (2024, Theorem 3): squares of sums within entities of
    v_it e_it, where the error of a treated cell is its effect less an average of effects. Averages are by cohort and
    period; by event time where a cohort has one entity. Deviations are scaled by the leverage in their average,
    residuals by n / df, and the sum by G / (G - 1). An entity whose cells have no other to be compared with adds its
    variance under independent errors instead.

    Parameters
    ----------
    fit : FittedCells
    cells : OutsideCells
    combinations : ndarray, shape (k, m)
    weights : CellWeights
    effects : ndarray, shape (m,)
        Outcome less counterfactual.
    cohorts, events : ndarray of int64, shape (m,)
        First treated period of the entity, and periods since treatment.

    Returns
    -------
    variances, df : ndarray, shape (k,)
        The latter are the treated entities that are compared, less the averages they are compared with: cohorts, and
        one for all that are compared by event time; those of the residuals where there are none.
    """
    n = len(fit.observed)
    inflate = np.sqrt(fit.nobs / fit.df_resid)
    residuals = np.einsum("knt,nt->kn", weights.inside, fit.resid) * inflate
    variances, df = np.empty(len(combinations)), np.empty(len(combinations))
    by_period = _codes(cohorts, cells.time)
    for j, w in enumerate(combinations):
        used = np.flatnonzero(w)
        deviations, levels = _deviations(effects[used], w[used], (by_period[used], events[used]))
        entity = cells.entity[used]
        treated = np.bincount(entity, weights=w[used] * deviations, minlength=n)
        alone = np.zeros(n, dtype=bool)
        alone[entity[levels < 0]] = True
        sums = np.where(alone, 0.0, treated - residuals[j])
        own = float((w[used] ** 2)[alone[entity]].sum()) + float((weights.inside[j][alone] ** 2).sum())
        active = (sums != 0).sum()
        variances[j] = float(sums @ sums) * active / max(active - 1, 1) + fit.sigma2 * own
        df[j] = _compared(entity, np.where(levels == 0, cohorts[used], -1), alone) or fit.df_resid
    return variances, df


def _codes(*columns: IntArray) -> IntArray:
    """One code for each distinct row of the columns."""
    return np.asarray(np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1], dtype=np.int64).ravel()


def _compared(entity: IntArray, averages: IntArray, alone: BoolArray) -> int:
    """Entities whose cells are compared, less the averages they are compared with; one at least, 0 without any."""
    some = ~alone[entity]
    entities = len(np.unique(entity[some]))
    return max(entities - len(np.unique(averages[some])), 1) if entities > 1 else 0


def _deviations(effects: FloatArray, w: FloatArray, levels: tuple[IntArray, ...]) -> tuple[FloatArray, IntArray]:
    """Effects less their average at the first level with another cell, scaled; and that level, -1 for none."""
    out, found = np.zeros(len(effects)), np.full(len(effects), -1, dtype=np.int64)
    for k, level in enumerate(levels):
        codes = np.unique(level, return_inverse=True)[1].ravel()
        squares = np.bincount(codes, weights=w**2)
        mean = np.bincount(codes, weights=w**2 * effects) / squares
        leverage = w**2 / squares[codes]
        here = (found < 0) & (np.bincount(codes)[codes] > 1) & (leverage < 1)
        out[here] = (effects - mean[codes])[here] / np.sqrt(1 - leverage[here])
        found[here] = k
    return out, found


def check_kind(kind: str) -> str:
    """One of the covariances, or an error that lists them."""
    if kind not in ("cluster", "HC2", "nonrobust"):
        raise SpecificationError(
            f"cov_type is {kind!r}.", "Counterfactuals know 'cluster', 'HC2' and 'nonrobust'.", 'cov_type="cluster"'
        )
    return kind
