"""Passes over blocks of entities, on threads where there are several blocks.

Which entities are in a block follows from the shape of the panel alone, and sums over blocks are taken in their order:
numbers do not depend on how many threads there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np

from gifepanel.parallel import one_thread

__all__ = [
    "LARGE",
    "UNITS",
    "blocks_of",
    "each_block",
    "each_of",
    "is_large",
    "is_much",
    "one_thread",
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
    found = blocks_of(n, width)
    if len(found) < 2:
        return [work(block) for block in found]
    with one_thread():
        return list(_executor(os.getpid()).map(work, found))


def sum_over_blocks(work: Callable[[slice], Array], n: int, width: int) -> Array:
    """The sum of arrays by block, in their order."""
    found = blocks_of(n, width)
    if len(found) < 2:
        return work(found[0])
    total: Array | None = None
    with one_thread():
        for part in _executor(os.getpid()).map(work, found):
            if total is None:
                total = np.array(part)
            else:
                total += part
    assert total is not None
    return total


def each_of(work: Callable[[int], Out], number: int, size: int) -> list[Out]:
    """What `work` makes of 0 to number - 1, in their order; on threads where each is about many entities."""
    if number < 2 or size * UNITS < _ELEMENTS:
        return [work(k) for k in range(number)]
    with one_thread():
        return list(_executor(os.getpid()).map(work, range(number)))


@cache
def _executor(process: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked one gets its own."""
    return ThreadPoolExecutor(max(1, os.cpu_count() or 1), "gifepanel")
