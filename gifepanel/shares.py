"""Entities of one large panel in shares, each in the memory of a Dask worker, from where only sums come back.

Functions that go over entities take ``(first, *rows, *small)``: how many entities come before, what has a row for each
of them, and what is the same for all. Where rows are arrays the function is called, in this process; where they are
:class:`Rows` it is called on every worker, with what that one holds. A share begins with a block of its own, and sums
are added in the order of all blocks (:func:`gifepanel.blocks.total_of`): numbers are the same to the bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from itertools import accumulate, chain, count, pairwise
from typing import Any, TypeVar

import numpy as np

from gifepanel.blocks import longest_block, total_of
from gifepanel.exceptions import LostWorkerError
from gifepanel.parallel import in_a_task, is_lost_worker, one_of_many, one_thread
from gifepanel.threads import limited_to

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
_ACTOR = "holding Actor was lost"  # how Dask says that of one that is known to be dead
_PATIENCE, _LOOK = 30.0, 2.0  # seconds that a worker has to begin, and after which one looks whether it is there


class Shares:
    """Which entities are on which worker.

    Calls are put down, and made by one message to each worker as soon as something of theirs is wanted here. What they
    make stays in the memory of the worker, in a :class:`_Store`, as long as there is a :class:`Rows` of it.

    Attributes
    ----------
    client : distributed.Client
    cuts : tuple of int
        The first entity of every share, and the end of the last.
    workers : dict of str to int
        Addresses, and the threads of each.
    """

    def __init__(self, client: Any, cuts: Sequence[int], workers: Mapping[str, int]) -> None:
        self.client, self.cuts, self.workers = client, tuple(cuts), dict(workers)
        self._waiting: list[list[_Call]] = [[] for _ in workers]
        self._dropped: list[int] = []
        self._numbers = count()
        with _lost():
            made = [
                client.submit(_Store, threads, actor=True, workers=[worker], pure=False)
                for worker, threads in self.workers.items()
            ]
            self._stores = [one.result(timeout=_PATIENCE) for one in made]

    def call(self, function: Callable[..., Any], rows: Sequence[Any], small: Sequence[Any]) -> Rows:
        """What a function makes of every share, left where it is made."""
        made = Rows(self, _Kept(self, next(self._numbers)))
        for k, (first, end) in enumerate(pairwise(self.cuts)):
            given = [one.name if isinstance(one, Rows) else one[first:end] for one in rows]
            self._waiting[k].append(_Call(function, first, [*given, *small], made.name[0]))
        return made

    def split(self, parts: Sequence[Any]) -> Rows:
        """Rows of what is here, a part for each share."""
        made = Rows(self, _Kept(self, next(self._numbers)))
        for waiting, part in zip(self._waiting, parts, strict=True):
            waiting.append(_Call(_as_it_is, 0, [part], made.name[0]))
        return made

    def gathered(self, rows: Rows) -> list[Any]:
        """Parts of all shares, here."""
        waiting, self._waiting = self._waiting, [[] for _ in self.workers]
        dropped, self._dropped = self._dropped, []
        with _lost():
            answers = [store.run(calls, dropped, rows.name) for store, calls in zip(self._stores, waiting, strict=True)]
            return [self._awaited(one, worker) for one, worker in zip(answers, self.workers, strict=True)]

    def _awaited(self, answer: Any, worker: str) -> Any:
        """What a worker answers, as long as it is there: the answer of one that has died may never come."""
        while True:
            try:
                return answer.result(timeout=_LOOK)
            except TimeoutError:
                if worker not in self.client.nthreads():
                    raise LostWorkerError(worker) from None


@dataclass
class _Call:
    function: Callable[..., Any]
    first: int
    args: list[Any]
    made: int


class _Name(tuple[int, ...]):
    """The number of what a worker keeps, and which item of it."""


class _Store:
    """What a worker keeps of one panel: an actor of Dask, which stays where it is."""

    def __init__(self, threads: int) -> None:
        self.threads, self.kept = threads, dict[int, Any]()

    def run(self, calls: list[_Call], dropped: list[int], wanted: _Name) -> Any:
        """Calls in their order, and what is wanted afterwards."""
        if not self.kept and calls[0].function is not _as_it_is:
            raise LostWorkerError("The entities are not here")  # another worker was asked to begin anew
        before = one_of_many(False)
        try:
            with one_thread(), limited_to(self.threads):
                for call in calls:
                    given = [self._named(one) if isinstance(one, _Name) else _own(one) for one in call.args]
                    self.kept[call.made] = call.function(call.first, *given)
            return self._named(wanted)
        finally:
            one_of_many(before)
            for number in dropped:
                self.kept.pop(number, None)

    def _named(self, name: _Name) -> Any:
        value = self.kept[name[0]]
        for k in name[1:]:
            value = value[k]
        return value


def _own(value: Any) -> Any:
    """Arrays that may be written to: for others, as they may come by the network, kernels would be compiled anew."""
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.writeable else value


def _as_it_is(_: int, part: Any) -> Any:
    return part


class _Kept:
    """Something that workers keep; they are told when nobody speaks of it any more."""

    def __init__(self, shares: Shares, number: int) -> None:
        self.shares, self.number = shares, number

    def __del__(self) -> None:
        self.shares._dropped.append(self.number)


@dataclass(frozen=True, eq=False)
class Rows:
    """What has a row for each entity, or a field of it has, in shares."""

    shares: Shares
    kept: _Kept
    path: tuple[int, ...] = ()

    @property
    def name(self) -> _Name:
        """How the workers call it."""
        return _Name((self.kept.number, *self.path))

    def __len__(self) -> int:
        return self.shares.cuts[-1]

    def __reduce__(self) -> Any:
        raise TypeError("what is on workers stays there")


@contextmanager
def _lost() -> Iterator[None]:
    """A context in which the death of a worker is an error of ours."""
    try:
        yield
    except Exception as error:
        if not (is_lost_worker(error) or isinstance(error, (OSError, LostWorkerError)) or _ACTOR in str(error)):
            raise
        raise LostWorkerError(
            f"A Dask worker that held some of the entities is gone ({type(error).__name__})",
            "They have to stay in its memory until the fit ends",
            "Call it again, with workers that have memory enough; without parallel_config it is fitted here.",
        ) from error


def again_if_lost(fit: Callable[[], Out], random: Any = None) -> Out:
    """A fit, begun again where a worker dies in the middle of it; three times at most.

    `random` may be a Generator, which begins where it began.
    """
    bits = random.bit_generator if isinstance(random, np.random.Generator) else None
    state: Any = None if bits is None else bits.state
    for _ in range(_LOST):
        try:
            return fit()
        except LostWorkerError:
            if bits is not None:
                bits.state = state
    return fit()


def shares_of(n: int) -> Shares | None:
    """Shares of n entities on the workers of a Dask cluster; None where ``joblib.parallel_config`` names none."""
    client, limit = _dask()
    if client is None:
        return None
    with _lost():
        workers: dict[str, int] = dict(sorted(client.nthreads().items())[: limit if limit > 0 else None])
    blocks = -(-n // longest_block())
    if len(workers) < 2 or blocks < len(workers):
        return None
    threads = [0, *accumulate(workers.values())]
    cuts = [min(n, round(blocks * some / threads[-1]) * longest_block()) for some in threads]
    return Shares(client, cuts, workers) if min(end - start for start, end in pairwise(cuts)) else None


def _dask() -> tuple[Any, int]:
    """The client of the configuration around this call, and how many workers it is to use; -1 for all."""
    if in_a_task() or "distributed" not in sys.modules or "joblib" not in sys.modules:
        return None, 0
    from joblib.parallel import get_active_backend

    backend, number = get_active_backend()
    is_dask = type(backend).__name__ == "DaskDistributedBackend"
    return (backend.client if is_dask else None), number or -1


def _home(rows: Sequence[Any]) -> Shares | None:
    for one in rows:
        if isinstance(one, Rows):
            return one.shares
    return None


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
    home = _home(rows)
    if home is None:
        return total_of(function(0, *rows, *small))
    return total_of(chain.from_iterable(home.gathered(home.call(function, rows, small))))


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
    return Rows(rows.shares, rows.kept, (*rows.path, k))


def from_first(function: Callable[..., Any], rows: Sequence[Any], *small: Any) -> Any:
    """What a function makes of the first share, here."""
    return from_shares(_of_first, rows, function, *small)[0]


def _of_first(first: int, *given: Any) -> Any:
    """The function stands somewhere among what is given, behind the rows."""
    rows = next(k for k, one in enumerate(given) if callable(one))
    return None if first else given[rows](first, *given[:rows], *given[rows + 1 :])


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
