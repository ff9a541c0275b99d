"""Anderson's mixing of iterates that are too long to be laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gifepanel.blocks import blocks_of, each_block
from gifepanel.shares import from_shares, rows_of

__all__ = ["mixed", "mixing_weights"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def mixing_weights(news: Sequence[Sequence[Array]], olds: Sequence[Sequence[Array]]) -> Array:
    """Coefficients of the differences of steps that come nearest to the last step.

    Parameters
    ----------
    news, olds : sequence of sequences of ndarray
        Where every iteration went to and came from, the same parts of it in the same order.
    """
    parts = []
    for k in range(len(news[0])):
        rows = [*(one[k] for one in news), *(one[k] for one in olds)]
        parts += [one for share in from_shares(_triangles, rows) for one in share]
    stacked = np.asarray(np.linalg.qr(np.concatenate(parts), mode="r"))
    return np.asarray(np.linalg.lstsq(stacked[:, :-1], stacked[:, -1], rcond=1e-8)[0])


def _triangles(_: int, *both: Array) -> list[Array]:
    """Of steps and the last of them, block by block; new iterates come before old ones."""
    new, old = both[: len(both) // 2], both[len(both) // 2 :]

    def of(block: slice) -> Array:
        steps = np.stack([(a[block] - b[block]).ravel() for a, b in zip(new, old, strict=True)], axis=1)
        return np.asarray(np.linalg.qr(np.hstack([np.diff(steps, axis=1), steps[:, -1:]]), mode="r"))

    return each_block(of, *_laid_out(new[0]))


def mixed(parts: Sequence[Array], weights: Array, length: float) -> Array:
    """The last of some arrays, less `length` times the weighted differences of each from the one before."""
    out: Array = rows_of(_mixed, parts, weights, length)
    return out


def _mixed(_: int, *given: Any) -> Array:
    *parts, weights, length = given
    out = np.array(parts[-1])
    for block in blocks_of(*_laid_out(out)):
        for weight, after, before in zip(weights, parts[1:], parts[:-1], strict=True):
            out[block] -= length * weight * (after[block] - before[block])
    return out


def _laid_out(values: Array) -> tuple[int, int]:
    return len(values), 16 * int(np.prod(values.shape[1:]))
