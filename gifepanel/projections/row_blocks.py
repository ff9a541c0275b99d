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
        return all(
            bool(np.isfinite(flat[at : min(at + _IN_CACHE, last)]).all()) for at in range(first, last, _IN_CACHE)
        )

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
    n = len(y)

    def sums(first: int, last: int) -> tuple[FloatArray, FloatArray]:
        squares, total = np.zeros(1 + x.shape[1]), np.zeros(1 + x.shape[1])
        for rows in _pieces(first, last, x.shape[1]):
            w = None if weights is None else weights[rows]
            for at, columns in ((slice(0, 1), y[rows, None]), (slice(1, None), x[rows])):
                squares[at] += _squares(columns, w)
                total[at] += columns[:, 0].sum() if columns.shape[1] == 1 else columns.sum(axis=0)
        return squares, total

    parts = over_rows(sums, n, 1 + x.shape[1])
    squares, total = (np.sum([part[k] for part in parts], axis=0) for k in range(2))
    return np.sqrt(squares), total / n


def in_one_block(
    y: FloatArray, x: FloatArray, order: npt.NDArray[np.int64] | None, centre: FloatArray, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """y (n,) and x (n, p) less their centres as one array (n, 1 + p), rows in an order, and the norms of its columns.

    `weights` are in that order.
    """
    out = np.empty((len(y), 1 + x.shape[1]))

    def fill(first: int, last: int) -> FloatArray:
        squares = np.zeros(out.shape[1])
        pieces = _pieces(first, last, x.shape[1])
        at_hand = np.empty((pieces[0].stop - first if pieces else 0, x.shape[1]))
        for rows in pieces:
            block, left, right = out[rows], y[rows], x[rows]
            if order is not None:
                left, right = y[order[rows]], at_hand[: len(block)]
                np.take(x, order[rows], axis=0, out=right, mode="clip")
            np.subtract(left, centre[0], out=block[:, 0])
            np.subtract(right, centre[1:], out=block[:, 1:])
            squares += _squares(block, None if weights is None else weights[rows])
        return squares

    return out, np.sqrt(np.sum(over_rows(fill, len(y), out.shape[1]), axis=0))


def in_two_blocks(work: FloatArray, order: npt.NDArray[np.int64] | None) -> tuple[FloatArray, FloatArray]:
    """The first column (n,) and the others (n, p) of an array, from an order of rows back to their own."""
    y, x = np.empty(len(work)), np.empty((len(work), work.shape[1] - 1))

    def put(first: int, last: int) -> None:
        for rows in _pieces(first, last, x.shape[1]):
            own: Any = rows if order is None else order[rows]
            y[own], x[own] = work[rows, 0], work[rows, 1:]

    over_rows(put, len(work), work.shape[1])
    return y, x


def lengths(columns: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Norms of columns (n, m), under weights."""

    def squares(first: int, last: int) -> FloatArray:
        total = np.zeros(columns.shape[1])
        for rows in _pieces(first, last, columns.shape[1]):
            total += _squares(columns[rows], None if weights is None else weights[rows])
        return total

    return np.sqrt(np.sum(over_rows(squares, *columns.shape), axis=0))


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
