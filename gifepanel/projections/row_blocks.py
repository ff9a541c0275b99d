"""Blocks of rows on threads.

What is done to rows is cut at places that the data fix, and what blocks add up is added in their order: numbers do not
depend on how many threads there are. That is numba's count, which ``NUMBA_NUM_THREADS`` sets; tasks that
:mod:`gifepanel.parallel` runs, of which there are many at once, get one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.threads import executor, n_threads

__all__ = [
    "CHUNKS",
    "all_finite",
    "alone",
    "close_integers",
    "cuts",
    "every_chunk",
    "in_one_block",
    "in_two_blocks",
    "lengths",
    "lengths_and_means",
    "low_and_high",
    "over_rows",
    "taken",
]

FloatArray = npt.NDArray[np.float64]

CHUNKS = 4
_SERIAL = 200_000  # values up to which threads cost more than they save
_IN_CACHE = 1 << 15  # values that are looked at together
_WIDE = 1 << 11  # rows of many columns that are looked at together
_FEW = 4


def cuts(n: int, width: int = 1) -> list[int]:
    """Where n rows of some columns are cut; in one piece where there are few."""
    return [0, n] if n * width < _SERIAL else [n * k // CHUNKS for k in range(CHUNKS + 1)]


def every_chunk(work: Callable[..., Any], bounds: list[int], *parts: list[Any]) -> list[Any]:
    """``work(first, last, *part)`` for every chunk, on threads: what they return, in order."""
    ends = list(zip(bounds[:-1], bounds[1:], *parts, strict=True))
    threads = min(len(ends), n_threads())
    if threads < 2:
        return [work(*own) for own in ends]
    return list(executor(threads).map(lambda own: work(*own), ends))


def over_rows(work: Callable[[int, int], Any], n: int, width: int = 1) -> list[Any]:
    """``work(first, last)`` for chunks of n rows of some columns, on threads: what they return, in order."""
    return every_chunk(work, cuts(n, width))


def all_finite(values: npt.NDArray[Any]) -> bool:
    """Whether no value is missing or infinite; nothing of the size of the data is made."""
    flat = values.reshape(-1) if values.flags.c_contiguous else values

    def finite(first: int, last: int) -> bool:
        with np.errstate(all="ignore"):
            if np.isfinite(flat[first:last].sum()):  # then its terms are; a sum that is not may be of large numbers
                return True
            pieces = (flat[at : min(at + _IN_CACHE, last)] for at in range(first, last, _IN_CACHE))
            return all(bool(np.isfinite(piece).all()) for piece in pieces)

    return all(over_rows(finite, len(flat), flat.shape[1] if flat.ndim > 1 else 1))


def taken(columns: list[Any], n: int) -> FloatArray:
    """Columns (n,) or numbers side by side, (n, p) float64 in C order."""
    out = np.empty((n, len(columns)))

    def fill(first: int, last: int) -> None:
        for rows in _pieces(first, last, len(columns)):
            for j, column in enumerate(columns):
                out[rows, j] = column[rows] if np.ndim(column) else column

    over_rows(fill, n, len(columns))
    return out


def close_integers(values: npt.NDArray[Any], low: int, width: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Integers less the lowest (n,) int32, and which of the `width` distances occur; those are numbered without gaps.

    Returns
    -------
    codes : ndarray of int32, shape (n,)
    steps : ndarray of int64
        The distances that occur, sorted.
    """
    codes = np.empty(values.size, dtype=np.int32)
    occurs = np.zeros(width, dtype=np.bool_)
    if values.size < _SERIAL:
        np.subtract(values.astype(np.int64, copy=False), low, out=codes, casting="unsafe")
        occurs[codes] = True
    else:
        from gifepanel.kernels import coding

        own, base = values.astype(np.int64, copy=False), np.int64(low)
        over_rows(lambda first, last: coding.mark_integers(own, base, first, last, codes, occurs), values.size)
    if occurs.all():
        return codes, np.arange(width)
    steps, new = np.flatnonzero(occurs), np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    if values.size < _SERIAL:
        return new[codes], steps
    over_rows(lambda first, last: coding.recode(codes, new, first, last), values.size)
    return codes, steps


def low_and_high(values: npt.NDArray[Any]) -> tuple[int, int]:
    """Smallest and largest of integers, at least one."""
    found = over_rows(lambda first, last: (values[first:last].min(), values[first:last].max()), values.size)
    return int(min(low for low, _ in found)), int(max(high for _, high in found))


def alone(codes: npt.NDArray[np.int32], n_levels: int) -> bool:
    """Whether any level has one row."""
    if codes.size < _SERIAL:
        return bool((np.bincount(codes, minlength=n_levels) == 1).any())
    from gifepanel.kernels import coding

    bounds = cuts(codes.size)
    parts = [np.zeros(n_levels, dtype=np.int32) for _ in bounds[1:]]
    every_chunk(lambda first, last, counts: coding.add_counts(codes, first, last, counts), bounds, parts)
    for part in parts[1:]:
        parts[0] += part
    return bool((parts[0] == 1).any())


def lengths_and_means(y: FloatArray, x: FloatArray, weights: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Norms under the weights, and unweighted means, of y (n,) and the columns of x (n, p), both (1 + p,)."""
    if _compiled(y, x, weights):
        from gifepanel.kernels.rows import add_lengths_and_sums

        bounds, w = cuts(*_shape(x)), _given(weights)
        both = [np.zeros((2, 1 + x.shape[1])) for _ in bounds[1:]]
        every_chunk(lambda a, b, part: add_lengths_and_sums(y, x, w, a, b, part[0], part[1]), bounds, both)
        squares, total = np.sum(both, axis=0)
    else:
        squares = np.concatenate([_squares(y[:, None], weights), _squares(x, weights)])
        total = np.append(y.sum(), x.sum(axis=0))
    return np.sqrt(squares), total / len(y)


def in_one_block(
    y: FloatArray, x: FloatArray, order: npt.NDArray[np.int64] | None, centre: FloatArray, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """y (n,) and x (n, p) less their centres as one array (n, 1 + p), rows in an order, and the norms of its columns.

    `weights` are in that order.
    """
    out = np.empty((len(y), 1 + x.shape[1]))
    if _compiled(y, x, weights):
        from gifepanel.kernels.rows import fill_block

        bounds, w, rows = cuts(*_shape(x)), _given(weights), _given(order, np.int64)
        parts = [np.zeros(1 + x.shape[1]) for _ in bounds[1:]]
        every_chunk(lambda a, b, part: fill_block(y, x, rows, centre, w, a, b, out, part), bounds, parts)
        return out, np.sqrt(np.sum(parts, axis=0))
    own: Any = slice(None) if order is None else order
    np.subtract(y[own], centre[0], out=out[:, 0])
    np.subtract(x[own], centre[1:], out=out[:, 1:])
    return out, np.sqrt(_squares(out, weights))


def in_two_blocks(work: FloatArray, order: npt.NDArray[np.int64] | None) -> tuple[FloatArray, FloatArray]:
    """The first column (n,) and the others (n, p) of an array, from an order of rows back to their own."""
    y, x = np.empty(len(work)), np.empty((len(work), work.shape[1] - 1))
    if _compiled(work):
        from gifepanel.kernels.rows import split_block

        rows = _given(order, np.int64)
        over_rows(lambda first, last: split_block(work, rows, first, last, y, x), *work.shape)
        return y, x
    own: Any = slice(None) if order is None else order
    y[own], x[own] = work[:, 0], work[:, 1:]
    return y, x


def lengths(columns: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Norms of columns (n, m), under weights."""
    if not _compiled(columns, weights):
        return np.sqrt(_squares(columns, weights))
    from gifepanel.kernels.rows import add_squares

    bounds, w = cuts(*columns.shape), _given(weights)
    parts = [np.zeros(columns.shape[1]) for _ in bounds[1:]]
    every_chunk(lambda first, last, part: add_squares(columns, w, first, last, part), bounds, parts)
    return np.sqrt(np.sum(parts, axis=0))


def _compiled(*arrays: FloatArray | None) -> bool:
    """Whether compiled code looks at arrays: at many values, laid out as it takes them."""
    given = [array for array in arrays if array is not None]
    fit = all(array.dtype == np.float64 and array.flags.c_contiguous for array in given)
    return fit and sum(array.size for array in given) >= _SERIAL


def _shape(x: FloatArray) -> tuple[int, int]:
    return len(x), 1 + x.shape[1]


def _given(values: Any, kind: Any = np.float64) -> Any:
    """An array, or one without values for none."""
    return np.empty(0, dtype=kind) if values is None else np.ascontiguousarray(values, dtype=kind)


def _pieces(first: int, last: int, width: int) -> list[slice]:
    """Rows that stay in the cache while they are looked at more than once."""
    step = max(_WIDE, _IN_CACHE // (1 + width))
    return [slice(at, min(at + step, last)) for at in range(first, last, step)]


def _squares(columns: FloatArray, weights: FloatArray | None) -> FloatArray:
    if weights is not None:
        return np.asarray(weights @ columns**2)
    if columns.shape[1] > _FEW:
        return np.einsum("nm,nm->m", columns, columns)
    return np.array([np.einsum("n,n->", column, column) for column in columns.T])
