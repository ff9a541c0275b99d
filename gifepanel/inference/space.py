"""The span of estimated and known factors and loadings, and the projection off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError

__all__ = ["FactorSpace", "factor_space", "orthonormal_basis", "project", "unit_blocks"]

FloatArray = npt.NDArray[np.float64]

_BLOCK_ELEMENTS = 1 << 19  # 4 MB of float64: stays in cache, bounds every temporary


@dataclass(frozen=True)
class FactorSpace:
    """What has been projected out of an N x T panel, orthonormalised.

    Attributes
    ----------
    time : ndarray, shape (T, r_t)
        Orthonormal columns spanning the factors, estimated and known (``iota_T`` stands for entity effects).
    unit : ndarray, shape (N, r_u)
        Orthonormal columns spanning the loadings, estimated and known (``iota_N`` stands for time effects).
    """

    time: FloatArray
    unit: FloatArray

    @property
    def n_units(self) -> int:
        """N."""
        return int(self.unit.shape[0])

    @property
    def n_periods(self) -> int:
        """T."""
        return int(self.time.shape[0])

    @property
    def residual_rank(self) -> int:
        """Rank of M_unit (x) M_time: (N - r_u)(T - r_t)."""
        return (self.n_units - self.unit.shape[1]) * (self.n_periods - self.time.shape[1])


def orthonormal_basis(*columns: npt.ArrayLike | None, n_rows: int, rtol: float = 1e-10) -> FloatArray:
    """Orthonormal columns spanning all given columns, duplicates and zero columns left out.

    Parameters
    ----------
    *columns : array_like of shape (n_rows,) or (n_rows, r), or None
        Blocks of columns; None and empty blocks are skipped. Each column is scaled to length one first, so
        that units of measurement do not decide what counts as dependent.
    n_rows : int
        Number of rows, needed when there are no columns.
    rtol : float
        Singular values below ``rtol`` times the largest are taken as zero.

    Returns
    -------
    ndarray, shape (n_rows, rank)
    """
    blocks = [np.asarray(c, dtype=np.float64).reshape(n_rows, -1) for c in columns if c is not None]
    stacked = np.concatenate(blocks, axis=1) if blocks else np.empty((n_rows, 0))
    length = np.linalg.norm(stacked, axis=0)
    stacked = stacked[:, length > 0] / length[length > 0]
    if stacked.shape[1] == 0:
        return np.empty((n_rows, 0))
    u, s, _ = np.linalg.svd(stacked, full_matrices=False)
    return np.ascontiguousarray(u[:, s > rtol * s[0]])


def factor_space(
    n_units: int,
    n_periods: int,
    *,
    factors: npt.ArrayLike | None = None,
    loadings: npt.ArrayLike | None = None,
    known_factors: npt.ArrayLike | None = None,
    known_loadings: npt.ArrayLike | None = None,
    entity_effects: bool = False,
    time_effects: bool = False,
) -> FactorSpace:
    """Build the space spanned by [F, known factors] and [Lambda, known loadings].

    Parameters
    ----------
    n_units, n_periods : int
        N and T.
    factors, known_factors : array_like, shape (T, r), optional
        Estimated and known factors, any scale or rotation.
    loadings, known_loadings : array_like, shape (N, r), optional
        Estimated and known loadings.
    entity_effects, time_effects : bool
        Add ``iota_T`` to the known factors, ``iota_N`` to the known loadings.

    Returns
    -------
    FactorSpace
    """
    time_iota = np.ones(n_periods) if entity_effects else None
    unit_iota = np.ones(n_units) if time_effects else None
    return FactorSpace(
        time=orthonormal_basis(time_iota, known_factors, factors, n_rows=n_periods),
        unit=orthonormal_basis(unit_iota, known_loadings, loadings, n_rows=n_units),
    )


def unit_blocks(n_units: int, row_size: int) -> list[slice]:
    """Slices over units, each holding about 4 MB of rows of ``row_size`` float64."""
    step = max(1, _BLOCK_ELEMENTS // max(1, row_size))
    return [slice(start, min(start + step, n_units)) for start in range(0, n_units, step)]


def project(z: npt.ArrayLike, space: FactorSpace) -> FloatArray:
    """Project a panel, or a stack of panels, off the factor space: M_unit z M_time.

    Parameters
    ----------
    z : array_like, shape (N, T) or (N, T, q)
        One panel, or q of them side by side.
    space : FactorSpace
        What to take out.

    Returns
    -------
    ndarray, same shape as z
        A new array; neither a T x T nor an N x N matrix is formed, and temporaries stay at a few MB.

    Raises
    ------
    DataError
        If the shapes disagree.
    """
    source = np.asarray(z, dtype=np.float64)
    if source.ndim not in (2, 3) or source.shape[:2] != (space.n_units, space.n_periods):
        raise DataError(
            f"The panel has shape {source.shape}.",
            f"It must be ({space.n_units}, {space.n_periods}) or ({space.n_units}, {space.n_periods}, q).",
            "Pass entities along axis 0 and periods along axis 1.",
        )
    out = np.array(source, order="C", copy=True)
    flat = out.reshape(space.n_units, -1)
    cube = out.reshape(space.n_units, space.n_periods, -1)
    blocks = unit_blocks(space.n_units, flat.shape[1])
    if space.time.shape[1]:
        for rows in blocks:
            cube[rows] -= np.matmul(space.time, np.matmul(space.time.T, cube[rows]))
    if space.unit.shape[1]:
        scores = space.unit.T @ flat
        for rows in blocks:
            flat[rows] -= space.unit[rows] @ scores
    return out
