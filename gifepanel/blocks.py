"""Passes over blocks of entities, on threads where there are several blocks.

Which entities are in a block follows from the shape of the panel alone, and sums over blocks are taken in their order:
numbers do not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from gifepanel.parallel import one_thread
from gifepanel.threads import executor, n_threads

__all__ = [
    "LARGE",
    "UNITS",
    "blocks_of",
    "each_block",
    "each_of",
    "is_large",
    "is_much",
    "sum_over_blocks",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
Out = TypeVar("Out")

LARGE = 1 << 22  # elements of outcome and regressors, 32 MB, from which passes go over blocks
UNITS = 8  # a width that makes blocks of 16,384 entities, for problems of their own
_ELEMENTS = 1 << 17  # of a block of the outcome: 1 MB, which stays in the cache


def is_large(n: int, t: int, p: int) -> bool:
    """Whether a panel with N entities, T periods and p regressors is worked on in blocks of entities."""
    return n * t * (p + 1) >= LARGE


def is_much(elements: int) -> bool:
    """Whether so many numbers are used where they are, not copied."""
    return elements >= LARGE


def blocks_of(n: int, width: int) -> list[slice]:
    """Blocks of n entities with so many elements each."""
    step = max(1, _ELEMENTS // max(1, width))
    return [slice(first, min(first + step, n)) for first in range(0, n, step)]


def each_block(work: Callable[[slice], Out], n: int, width: int) -> list[Out]:
    """What `work` makes of every block of n entities with so many elements each, in their order."""
    return list(_each(work, blocks_of(n, width)))


def sum_over_blocks(work: Callable[[slice], Array], n: int, width: int) -> Array:
    """The sum of arrays by block, in their order."""
    found = blocks_of(n, width)
    if len(found) == 1:
        return work(found[0])
    parts = _each(work, found)
    total = np.array(next(parts))
    for part in parts:
        total += part
    return total


def each_of(work: Callable[[int], Out], number: int, size: int) -> list[Out]:
    """What `work` makes of 0 to number - 1, in their order; on threads where each is about many entities."""
    if size * UNITS < _ELEMENTS:
        return [work(k) for k in range(number)]
    return list(_each(work, range(number)))


def _each(work: Callable[[Any], Out], parts: Sequence[Any]) -> Iterator[Out]:
    """``work(part)`` for all parts, in order; on threads where there are several."""
    threads = min(len(parts), n_threads()) if len(parts) > 1 else 1
    if threads < 2:
        yield from map(work, parts)
        return
    with one_thread():
        yield from executor(threads).map(work, parts)
