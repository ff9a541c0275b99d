"""Anderson's mixing of iterates that are too long to be laid side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gifepanel.blocks import blocks_of, each_block

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
        parts += each_block(_triangle([one[k] for one in news], [one[k] for one in olds]), *_laid_out(news[0][k]))
    stacked: Array = np.asarray(np.linalg.qr(np.concatenate(parts), mode="r"))
    return np.asarray(np.linalg.lstsq(stacked[:, :-1], stacked[:, -1], rcond=1e-8)[0])


def _triangle(new: list[Array], old: list[Array]) -> Callable[[slice], Array]:
    def of(block: slice) -> Array:
        steps = np.stack([(a[block] - b[block]).ravel() for a, b in zip(new, old, strict=True)], axis=1)
        return np.asarray(np.linalg.qr(np.hstack([np.diff(steps, axis=1), steps[:, -1:]]), mode="r"))

    return of


def mixed(parts: Sequence[Array], weights: Array, length: float) -> Array:
    """The last of some arrays, less `length` times the weighted differences of each from the one before."""
    out = np.array(parts[-1])

    def change(block: slice) -> None:
        for weight, after, before in zip(weights, parts[1:], parts[:-1], strict=True):
            out[block] -= length * weight * (after[block] - before[block])

    n, width = _laid_out(out)
    for block in blocks_of(n, width):
        change(block)
    return out


def _laid_out(values: Array) -> tuple[int, int]:
    return len(values), 16 * int(np.prod(values.shape[1:]))
