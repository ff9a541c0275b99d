"""Many fits at once: starts, grids, bootstrap, Monte Carlo, on one function."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from threading import Event, Lock, Thread, local
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from gifepanel.checkpoint import Checkpoint

__all__ = [
    "Progress",
    "beside",
    "counter",
    "each",
    "in_a_task",
    "is_lost_worker",
    "on_one_thread",
    "one_of_many",
    "one_thread",
    "run_draws",
    "run_tasks",
    "spawn_seeds",
]

Func = TypeVar("Func", bound=Callable[..., Any])
Progress = bool | Callable[[int, int], None] | None
_DELAY = 2.0  # seconds
_WITH_POOLS = ("scipy.linalg", "sklearn", "torch", "numba.np.ufunc.omppool", "mkl")  # modules that bring libraries
_WAVE = 4  # tasks for a worker between two looks at what is done
_LOST = 3  # times that tasks of workers that died are given to others
_LOST_WORKERS = frozenset(
    [
        *("TerminatedWorkerError", "BrokenProcessPool"),  # loky, and the standard library's pools
        *("KilledWorker", "FutureCancelledError", "CancelledError", "CommClosedError"),  # Dask: a worker or its data
        *("WorkerCrashedError", "ActorDiedError", "ObjectLostError"),  # Ray
    ]
)


def spawn_seeds(random_state: Any, n: int) -> list[Any]:
    """A seed sequence per task, by task number: independent streams whatever the order and the workers.

    Parameters
    ----------
    random_state : int, Generator, SeedSequence or None
        A Generator gives one draw, so that two calls with it differ.
    n : int
    """
    import numpy as np

    if isinstance(random_state, np.random.SeedSequence):
        entropy, key = random_state.entropy, tuple(random_state.spawn_key)
    elif isinstance(random_state, np.random.Generator):
        entropy, key = int(random_state.integers(0, 2**63)), ()
    else:
        entropy, key = np.random.SeedSequence(random_state).entropy, ()
    return [np.random.SeedSequence(entropy, spawn_key=(*key, task)) for task in range(n)]


class Shared:
    """An argument that all tasks have in common, as one object that knows its size.

    Dask sends what is large to a worker once where it sees how large that is, which dataclasses of arrays don't say.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __sizeof__(self) -> int:
        return 64 + _array_bytes(self.value)


def _array_bytes(value: Any) -> int:
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if is_dataclass(value) and not isinstance(value, type):
        return sum(_array_bytes(getattr(value, one.name)) for one in fields(value))
    return sum(map(_array_bytes, value)) if isinstance(value, (tuple, list)) else 0


class _OneThread:
    """One BLAS thread in this process while any task runs: the same last bits whatever the number of workers.

    Tasks on threads overlap: the first to begin sets the limit, the last to end takes it back.
    """

    def __init__(self) -> None:
        self._lock, self._running, self._limits = Lock(), 0, None

    def __enter__(self) -> None:
        with self._lock:
            if not self._running:
                self._limits = _pools(tuple(name in sys.modules for name in _WITH_POOLS)).limit(limits=1)
            self._running += 1

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._running -= 1
            if not self._running and self._limits is not None:
                self._limits.restore_original_limits()
                self._limits = None


@lru_cache(maxsize=1)
def _pools(loaded: tuple[bool, ...]) -> Any:
    """The pools of threads of this process, looked up again where libraries have come; that takes a while."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_ONE_THREAD = _OneThread()
_HERE = local()


def in_a_task() -> bool:
    """Whether this thread runs one of many tasks, which start no threads of their own."""
    return bool(getattr(_HERE, "task", False))


def one_of_many(is_one: bool = True) -> bool:
    """Say whether this thread runs one of many tasks; what was said before."""
    before = in_a_task()
    _HERE.task = is_one
    return before


def on_one_thread(function: Func) -> Func:
    """The function with one BLAS thread: of small products several take several times as long as one."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _ONE_THREAD:
            return function(*args, **kwargs)

    out: Any = run
    out.__kwdefaults__ = cast("Any", function).__kwdefaults__  # errors and reports read the options there
    return cast("Func", out)


def one_thread() -> _OneThread:
    """A context in which BLAS has one thread; it can be entered from within itself."""
    return _ONE_THREAD


def _run_one(function: Callable[..., Any], index: int, *args: Any) -> tuple[int, Any]:
    before = one_of_many()
    try:
        with _ONE_THREAD:
            return index, function(*(arg.value if isinstance(arg, Shared) else arg for arg in args))
    finally:
        one_of_many(before)


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    progress: Progress = None,
    description: str = "",
    sizes: Sequence[int] | None = None,
    before: int = 0,
    done: Callable[[int, Any], None] | None = None,
    checkpoint: Checkpoint | None = None,
    keys: Sequence[str] | None = None,
) -> list[Any]:
    """``[function(*task) for task in tasks]``, on joblib's workers, with a progress bar.

    A worker that dies takes the tasks with it that it had: they are given to others, up to three times.

    Parameters
    ----------
    function : callable
        A module-level function.
    tasks : sequence of tuple
        Arguments, one tuple a task. Arrays stand at the top level of the tuples, where joblib can share them.
    n_jobs : int, optional
        Workers; None is 1 unless a ``joblib.parallel_config`` context says otherwise, -1 is one per core.
    progress : bool or callable, optional
        None shows a bar on a terminal once the work takes two seconds; True and False switch it on and off; a callable
        gets (done, total).
    description : str
        Text before the bar.
    sizes : sequence of int, optional
        What each task counts for; by default one.
    before : int
        What counts as done at the start.
    done : callable, optional
        Gets number and value of every task as it ends, in the process of the caller.
    checkpoint : Checkpoint, optional
        Values that are in it are not computed again, others are put there as they end.
    keys : sequence of str, optional
        Names of the tasks in the checkpoint; by default their numbers.

    Returns
    -------
    list
        In the order of the tasks.
    """
    results: list[Any] = [None] * len(tasks)
    sizes = [1] * len(tasks) if sizes is None else sizes
    keys = [f"task-{j:07d}" for j in range(len(tasks))] if keys is None else keys
    kept = {} if checkpoint is None else checkpoint.values(keys)
    for index, key in enumerate(keys):
        if key in kept:
            results[index] = kept[key]
            before += sizes[index]
    left = [index for index, key in enumerate(keys) if key not in kept]
    total = before + sum(sizes[index] for index in left)
    with counter(progress, total, description, before) as count:
        for index, value in _completed(function, _sharing(tasks), left, n_jobs):
            results[index] = value
            if checkpoint is not None:
                checkpoint.keep(keys[index], value)
            if done is not None:
                done(index, value)
            count(sizes[index])
    return results


def each(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """``[function(*task) for task in tasks]``: parts of one fit, on workers only where a caller has set some up.

    That is in a ``joblib.parallel_config`` of two workers or more, and not inside of a task: without, nothing stands
    between the caller and the function.

    Parameters
    ----------
    function : callable
        A module-level function.
    tasks : sequence of tuple
    """
    if len(tasks) < 2 or in_a_task() or "joblib" not in sys.modules:
        return [function(*task) for task in tasks]
    from joblib import effective_n_jobs

    if effective_n_jobs(None) < 2:
        return [function(*task) for task in tasks]
    return run_tasks(function, tasks, progress=False)


def _sharing(tasks: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """The tasks, what is the same object in all of them as one :class:`Shared`."""
    if len(tasks) < 2 or any(len(task) != len(tasks[0]) for task in tasks):
        return tasks
    common = [
        position
        for position, value in enumerate(tasks[0])
        if not hasattr(value, "nbytes") and _array_bytes(value) and all(task[position] is value for task in tasks)
    ]
    shared = {position: Shared(tasks[0][position]) for position in common}
    return [tuple(shared.get(position, value) for position, value in enumerate(task)) for task in tasks]


def _completed(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], left: list[int], n_jobs: int | None
) -> Iterator[tuple[int, Any]]:
    """Number and value of every task that is left, as they end."""
    from joblib import Parallel, delayed

    waiting, lost = dict.fromkeys(left), 0
    while waiting:
        runner = Parallel(n_jobs=n_jobs, return_as=_return_as())
        some = list(waiting)
        if runner.return_generator:
            waves = [some]
        else:
            # a backend that returns all at once gets a few tasks for each worker at a time, so that what ends is seen
            length = _WAVE * max(1, runner._effective_n_jobs())
            waves = [some[first : first + length] for first in range(0, len(some), length)]
        try:
            for wave in waves:
                for index, value in runner(delayed(_run_one)(function, j, *tasks[j]) for j in wave):
                    del waiting[index]
                    yield index, value
        except Exception as error:
            lost += 1
            if not is_lost_worker(error) or lost > _LOST:
                raise


def is_lost_worker(error: BaseException) -> bool:
    """Whether an error is that of a process which died, with whatever engine."""
    return any(one.__name__ in _LOST_WORKERS for one in type(error).__mro__)


def run_draws(
    function: Callable[..., tuple[Any, ...]],
    arguments: tuple[Any, ...],
    n: int,
    *,
    random_state: Any = 0,
    block: int = 20,
    n_jobs: int | None = None,
    progress: Progress = None,
    description: str = "",
    checkpoint: Checkpoint | None = None,
) -> tuple[Any, ...]:
    """Random draws 0 to n - 1, each with a stream of its own, in blocks on joblib's workers.

    Parameters
    ----------
    function : callable
        Of a list of seed sequences and `arguments`: a tuple of arrays with a row for each seed.
    arguments : tuple
    n : int
    random_state : int, Generator or SeedSequence
    block : int
        Draws that go to a worker at once; an interrupt loses those that have not come back.
    n_jobs, progress, description
        As of :func:`run_tasks`; progress counts draws.
    checkpoint : Checkpoint, optional
        Draws that are in it are not made again, others are put there as they end.

    Returns
    -------
    tuple of ndarray
        Row j is draw j, whatever the workers, the blocks and what was in the checkpoint.
    """
    import numpy as np

    seeds = spawn_seeds(random_state, n)
    found = {} if checkpoint is None else checkpoint.rows(n)
    missing = [j for j in range(n) if j not in found]
    blocks = [missing[first : first + block] for first in range(0, len(missing), block)]

    def keep(index: int, value: tuple[Any, ...]) -> None:
        if checkpoint is not None:
            checkpoint.save(blocks[index], value)

    made = run_tasks(
        function,
        [([seeds[j] for j in some], *arguments) for some in blocks],
        n_jobs=n_jobs,
        progress=progress,
        description=description,
        sizes=[len(some) for some in blocks],
        before=len(found),
        done=keep,
    )
    for some, value in zip(blocks, made, strict=True):
        found |= {j: tuple(column[row] for column in value) for row, j in enumerate(some)}
    return tuple(np.array(column) for column in zip(*(found[j] for j in range(n)), strict=True))


def _return_as() -> str:
    """Completion order where the active backend can give it."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    return "generator_unordered" if getattr(backend, "supports_return_generator", False) else "list"


@contextmanager
def beside(look: Callable[[], Any], every: float) -> Iterator[None]:
    """Call `look` every so many seconds, in a thread, while the block runs."""
    stop = Event()

    def watch() -> None:
        while not stop.wait(every):
            look()

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def counter(progress: Progress, total: int, description: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A function to call at every completion, with what it counts for."""
    if callable(progress):

        def report(size: int) -> None:
            nonlocal done
            done += size
            progress(done, total)

        yield report
        return
    bar = _bar(total, description, done, disable=False) if progress else None
    begun = monotonic()

    def advance(size: int) -> None:
        nonlocal bar, done
        done += size
        # a bar that is never shown is never made: in a notebook it would leave its widgets behind
        if bar is None and progress is None and monotonic() - begun > _DELAY:
            bar = _bar(total, description, done - size, disable=None)
        if bar is not None:
            bar.update(size)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.close()


def _bar(total: int, description: str, done: int, *, disable: bool | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that notebooks without widgets get a bar of text
        from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, initial=done, disable=disable, leave=False)
