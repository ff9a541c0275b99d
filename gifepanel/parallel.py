"""Many fits at once: starts, grids, bootstrap, Monte Carlo, on one function."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

__all__ = ["Progress", "run_tasks", "spawn_seeds"]

Progress = bool | Callable[[int, int], None] | None
_DELAY = 2.0  # seconds


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


def _one_thread(function: Callable[..., Any], index: int, args: tuple[Any, ...]) -> tuple[int, Any]:
    """Run one task with one BLAS thread: the same last bits whatever the number of workers."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return index, function(*args)


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    progress: Progress = None,
    description: str = "",
) -> list[Any]:
    """``[function(*task) for task in tasks]``, on joblib's workers, with a progress bar.

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

    Returns
    -------
    list
        In the order of the tasks.
    """
    from joblib import Parallel, delayed

    results: list[Any] = [None] * len(tasks)
    with _counter(progress, len(tasks), description) as count:
        runner = Parallel(n_jobs=n_jobs, return_as=_return_as())
        for index, value in runner(delayed(_one_thread)(function, j, task) for j, task in enumerate(tasks)):
            results[index] = value
            count()
    return results


def _return_as() -> str:
    """Completion order where the active backend can give it."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    return "generator_unordered" if getattr(backend, "supports_return_generator", False) else "list"


@contextmanager
def _counter(progress: Progress, total: int, description: str) -> Iterator[Callable[[], None]]:
    """A function to call at every completion."""
    done = 0
    if callable(progress):

        def report() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        yield report
        return
    bar = _bar(total, description, 0, disable=False) if progress else None
    begun = monotonic()

    def advance() -> None:
        nonlocal bar, done
        done += 1
        # a bar that is never shown is never made: in a notebook it would leave its widgets behind
        if bar is None and progress is None and monotonic() - begun > _DELAY:
            bar = _bar(total, description, done - 1, disable=None)
        if bar is not None:
            bar.update(1)

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
