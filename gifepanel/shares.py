"""Entities of one large panel in shares, each in the memory of a Dask worker, from where only sums come back.

Functions that go over entities take ``(first, *rows, *small)``: how many entities come before, what has a row for each
of them, and what is the same for all. Where rows are arrays the function is called, in this process; where they are
:class:`Rows` it is called on every worker, with what that one holds. A share begins with a block of its own, and sums
are added in the order of all blocks (:func:`gifepanel.blocks.total_of`): numbers are the same to the bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np

from gifepanel.blocks import longest_block, total_of
from gifepanel.exceptions import GifepanelError
from gifepanel.parallel import in_a_task, is_lost_worker, one_of_many, one_thread

__all__ = [
    "Rows",
    "Shares",
    "again_if_lost",
    "collected",
    "from_first",
    "from_shares",
    "items",
    "rows_of",
    "shares_of",
    "small_and_rows",
    "sums_of",
]

Out = TypeVar("Out")
_LOST = 3  # times that a fit begins again after a worker died
_INLINE = 1 << 16  # bytes of an argument that travels with the call


class LostShareError(GifepanelError, RuntimeError):
    """A worker died, and the entities that it held with it."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Which entities are on which worker.

    Attributes
    ----------
    client : distributed.Client
    cuts : tuple of int
        The first entity of every share, and the end of the last.
    workers : tuple of str
        Addresses.
    """

    client: Any
    cuts: tuple[int, ...]
    workers: tuple[str, ...]

    def send(self, number: int, value: Any) -> Any:
        """A value to the worker of a share."""
        with _lost():
            return self.client.scatter(value, workers=[self.workers[number]], hash=False)

    def split(self, values: Any) -> Rows:
        """What has a row for each entity, to the workers."""
        parts = [values[start:end] for start, end in zip(self.cuts[:-1], self.cuts[1:], strict=True)]
        if max(part.nbytes for part in parts) > _INLINE:
            return Rows(self, tuple(self.send(k, part) for k, part in enumerate(parts)))
        return Rows(self, tuple(parts))

    def call(self, function: Callable[..., Any], rows: Sequence[Any], small: Sequence[Any]) -> Rows:
        """What a function makes of every share, left where it is made."""
        with _lost():
            own = [one if isinstance(one, Rows) else self.split(one) for one in rows]
            made = []
            for k, (first, worker) in enumerate(zip(self.cuts, self.workers, strict=False)):
                given = (function, first, *(one.parts[k] for one in own), *small)
                where = {"workers": [worker], "allow_other_workers": True, "pure": False}
                made.append(self.client.submit(_on_worker, *given, **where))
            return Rows(self, tuple(made))

    def gathered(self, rows: Rows) -> list[Any]:
        """Parts of all shares, here."""
        with _lost():
            return list(self.client.gather(list(rows.parts)))


@dataclass(frozen=True, eq=False)
class Rows:
    """What has a row for each entity, or a field of it has, in shares."""

    shares: Shares
    parts: tuple[Any, ...]

    def __len__(self) -> int:
        return self.shares.cuts[-1]

    def __reduce__(self) -> Any:
        raise TypeError("what is on workers stays there")


class _lost:
    """A context in which the death of a worker is an error of ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and is_lost_worker(error):
            raise LostShareError(
                f"A Dask worker that held a share of the panel is gone ({type(error).__name__})",
                "A fit of a large panel keeps entities in the memory of the workers until it ends",
                'Call it again: it takes the workers that there are. Or fit it outside of parallel_config(backend="dask").',
            ) from error


def again_if_lost(fit: Callable[[], Out], random: Any = None) -> Out:
    """A fit, begun again where a worker dies in the middle of it; three times at most.

    `random` may be a Generator, which begins where it began.
    """
    bits = random.bit_generator if isinstance(random, np.random.Generator) else None
    state = None if bits is None else bits.state
    for _ in range(_LOST):
        try:
            return fit()
        except LostShareError:
            if bits is not None:
                bits.state = state
    return fit()


def shares_of(n: int) -> Shares | None:
    """Shares of n entities on the workers of a Dask cluster; None where ``joblib.parallel_config`` names none."""
    client, limit = _dask()
    if client is None:
        return None
    threads: dict[str, int] = client.nthreads()
    workers = [address for address, number in sorted(threads.items()) for _ in range(number)]
    workers = workers[:limit] if limit > 0 else workers
    blocks = -(-n // longest_block())
    if len(workers) < 2 or blocks < 2:
        return None
    number = min(len(workers), blocks)
    cuts = [min(n, round(k * blocks / number) * longest_block()) for k in range(number + 1)]
    return Shares(client, tuple(cuts), tuple(workers[:number]))


def _dask() -> tuple[Any, int]:
    """The client of the configuration around this call, and how many workers it is to use; -1 for all."""
    if in_a_task() or "distributed" not in sys.modules or "joblib" not in sys.modules:
        return None, 0
    from joblib.parallel import get_active_backend

    backend, number = get_active_backend()
    is_dask = type(backend).__name__ == "DaskDistributedBackend"
    return (backend.client if is_dask else None), number or -1


def _on_worker(function: Callable[..., Any], *args: Any) -> Any:
    before = one_of_many()
    try:
        with one_thread():
            return function(*args)
    finally:
        one_of_many(before)


def _home(rows: Sequence[Any]) -> Shares | None:
    return next((one.shares for one in rows if isinstance(one, Rows)), None)


def rows_of(function: Callable[..., Any], rows: Sequence[Any], *small: Any) -> Any:
    """Rows that a function of ``(first, *rows, *small)`` makes of rows."""
    home = _home(rows)
    return function(0, *rows, *small) if home is None else home.call(function, rows, small)


def from_shares(function: Callable[..., Any], rows: Sequence[Any], *small: Any) -> list[Any]:
    """What a function makes of every share, as a list in their order."""
    home = _home(rows)
    if home is None:
        return [function(0, *rows, *small)]
    return home.gathered(home.call(function, rows, small))


def sums_of(function: Callable[..., Any], rows: Sequence[Any], *small: Any) -> Any:
    """The total of what a function makes by :func:`gifepanel.blocks.block_sums`."""
    return total_of(chain.from_iterable(from_shares(function, rows, *small)))


def small_and_rows(function: Callable[..., Any], number: int, rows: Sequence[Any], *small: Any) -> tuple[Any, ...]:
    """Of a function that gives something small and so many rows: a list of the first by share, and the rows."""
    home = _home(rows)
    if home is None:
        first, *made = function(0, *rows, *small)
        return [first], *made
    both = home.call(function, rows, small)
    made = [_item(both, k) for k in range(1 + number)]
    return home.gathered(made[0]), *made[1:]


def items(rows: Any, number: int) -> tuple[Any, ...]:
    """Rows of so many things as things of rows."""
    return tuple(_item(rows, k) for k in range(number)) if isinstance(rows, Rows) else tuple(rows)


def _item(rows: Rows, k: int) -> Rows:
    return rows.shares.call(_of_item, (rows,), (k,))


def _of_item(_: int, values: Any, k: int) -> Any:
    return itemgetter(k)(values)


def from_first(function: Callable[..., Any], rows: Sequence[Any], *small: Any) -> Any:
    """What a function makes of the first share, here."""
    home = _home(rows)
    if home is None:
        return function(0, *rows, *small)
    some = [Rows(home, one.parts[:1]) if isinstance(one, Rows) else one[: home.cuts[1]] for one in rows]
    first = Shares(home.client, home.cuts[:2], home.workers[:1])
    return first.gathered(first.call(function, some, small))[0]


def collected(rows: Any) -> Any:
    """Rows as arrays of this process."""
    return _joined(rows.shares.gathered(rows)) if isinstance(rows, Rows) else rows


def _joined(parts: list[Any]) -> Any:
    one = parts[0]
    if isinstance(one, tuple):
        return tuple(_joined(list(some)) for some in zip(*parts, strict=True))
    if is_dataclass(one) and not isinstance(one, type):
        return type(one)(*(_joined([getattr(part, own.name) for part in parts]) for own in fields(one)))
    return np.concatenate(parts)
