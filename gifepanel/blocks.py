"""Passes over blocks of entities, on threads where there are several blocks.

Which entities are in a block follows from the shape of the panel alone, and sums over blocks are taken in the order of
a tree of them: numbers do not depend on how many threads there are, nor on which process has which blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import local
from typing import Any, TypeVar

import numpy as np

from gifepanel.parallel import one_thread
from gifepanel.threads import executor, n_threads

__all__ = [
    "LARGE",
    "UNCOPIED",
    "UNITS",
    "Node",
    "block_sums",
    "blocks_of",
    "each_block",
    "each_of",
    "is_large",
    "is_much",
    "longest_block",
    "room",
    "sum_over_blocks",
    "total_of",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
Out = TypeVar("Out")
Node = tuple[int, int, Any]  # number of the first block, the power of two of blocks that were added, their sum

LARGE = 1 << 20  # elements of outcome and regressors, 8 MB, from which passes go over blocks
UNCOPIED = 1 << 22  # elements, 32 MB, from which arrays are used where they are
UNITS = 32  # a width that makes the longest blocks, of 4,096 entities, for problems of their own
_ELEMENTS = 1 << 17  # of a block of the outcome: 1 MB, which stays in the cache
_MUCH = 1 << 14  # entities from which tasks about each of them go to threads


class _Rooms(local):
    def __init__(self) -> None:
        self.by_name: dict[str, Array] = {}


_ROOMS = _Rooms()


def room(name: str, *shape: int) -> Array:
    """An array to be written over, which this thread had for the block before.

    To get as much anew takes as long as a pass where memory goes back to the system at once, as on workers of Dask.
    """
    size = math.prod(shape)
    known = _ROOMS.by_name.get(name)
    if known is None or known.size < size:
        known = _ROOMS.by_name[name] = np.empty(size)
    return known[:size].reshape(shape)


def is_large(n: int, t: int, p: int) -> bool:
    """Whether a panel with N entities, T periods and p regressors is worked on in blocks of entities."""
    return n * t * (p + 1) >= LARGE


def is_much(elements: int) -> bool:
    """Whether so many numbers are used where they are, not copied."""
    return elements >= UNCOPIED


def longest_block() -> int:
    """The most entities of a block: lengths are powers of two up to here."""
    return _ELEMENTS // UNITS


def _step(width: int) -> int:
    return 1 << (max(1, min(_ELEMENTS // max(1, width), longest_block())).bit_length() - 1)


def blocks_of(n: int, width: int) -> list[slice]:
    """Blocks of n entities with so many elements each."""
    step = _step(width)
    return [slice(first, min(first + step, n)) for first in range(0, n, step)]


def each_block(work: Callable[[slice], Out], n: int, width: int) -> list[Out]:
    """What `work` makes of every block of n entities with so many elements each, in their order."""
    if 0 < n <= _step(width):
        return [work(slice(0, n))]
    return list(_each(work, blocks_of(n, width)))


def sum_over_blocks(work: Callable[[slice], Any], n: int, width: int) -> Any:
    """The sum of arrays, or numbers, by block."""
    return total_of(block_sums(work, n, width))


def block_sums(work: Callable[[slice], Any], n: int, width: int, first: int = 0) -> list[Node]:
    """Sums over runs of blocks, as few as make the total in the order of all blocks.

    Parameters
    ----------
    work : callable
    n : int
        Entities here.
    width : int
    first : int
        How many entities come before these, elsewhere; a multiple of :func:`longest_block`.
    """
    step = _step(width)
    start, stack = first // step, list[Node]()
    if 0 < n <= step:
        return [(start, 0, work(slice(0, n)))]
    for number, part in enumerate(_each(work, blocks_of(n, width)), start):
        _add(stack, (number, 0, part))
    return stack


def total_of(nodes: Iterable[Node]) -> Any:
    """The sum of all blocks, from those of runs of them in their order."""
    stack: list[Node] = []
    for node in nodes:
        _add(stack, node)
    total = stack.pop()[2]
    while stack:
        total = stack.pop()[2] + total
    return total


def _add(stack: list[Node], node: Node) -> None:
    """Neighbours of the same size are added where the first of them begins at a multiple of twice that size."""
    stack.append(node)
    while len(stack) > 1:
        (start, size, one), (_, other, two) = stack[-2:]
        if size != other or start % (2 << size):
            return
        if size and isinstance(one, np.ndarray) and one.flags.writeable:
            one += two
        else:
            one = one + two
        stack[-2:] = [(start, size + 1, one)]


def each_of(work: Callable[[int], Out], number: int, size: int) -> list[Out]:
    """What `work` makes of 0 to number - 1, in their order; on threads where each is about many entities."""
    if size < _MUCH:
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
