"""How many threads there are, and a pool of them: what they run starts no more of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import Any

from gifepanel.parallel import in_a_task, one_of_many

__all__ = ["executor", "limited_to", "n_threads"]

_HERE = local()


def n_threads() -> int:
    """Threads that work on rows: numba's count, or what it would be."""
    if in_a_task():
        return 1
    limit: int = getattr(_HERE, "limit", 0)
    if limit:
        return limit
    numba: Any = sys.modules.get("numba")
    if numba is None:
        given = os.environ.get("NUMBA_NUM_THREADS", "")
        return int(given) if given.isdecimal() and int(given) else _cores()
    # set_num_threads can only have been called where numba's own threads run; to ask would start them
    started = getattr(sys.modules.get("numba.np.ufunc.parallel"), "_is_initialized", False)
    return int(numba.get_num_threads() if started else numba.config.NUMBA_NUM_THREADS)


@contextmanager
def limited_to(threads: int) -> Iterator[None]:
    """A context in which this thread has so many of them; 0 is as many as there are."""
    before, _HERE.limit = getattr(_HERE, "limit", 0), threads
    try:
        yield
    finally:
        _HERE.limit = before


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def executor(threads: int) -> ThreadPoolExecutor:
    """So many threads of this process."""
    return _executor(os.getpid(), threads)


@cache
def _executor(process: int, threads: int) -> ThreadPoolExecutor:
    """A forked process gets its own."""
    return ThreadPoolExecutor(threads, "gifepanel", initializer=one_of_many)
