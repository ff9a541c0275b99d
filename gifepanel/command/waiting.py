"""A line in the terminal that says what is going on, from the first second to the last."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gifepanel
from gifepanel.parallel import beside

__all__ = ["CLEAR", "compiles_first", "waiting"]

CLEAR = "\r\x1b[K"  # of a line of a terminal


def compiles_first() -> bool:
    """Whether this installation has compiled nothing yet."""
    folders = [Path(gifepanel.__file__).parent / "kernels" / "__pycache__"]
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        folders = [Path(given)]
    return not any(next(folder.rglob("*.nbi"), None) for folder in folders if folder.is_dir())


@contextmanager
def waiting(what: str | Callable[[], str]) -> Iterator[None]:
    """Say `what`, asked anew each time, and the seconds that it has taken, where errors go to a terminal."""
    stream = sys.stderr
    if not stream.isatty():
        yield
        return
    start = time.monotonic()

    def tell() -> None:
        seconds = int(time.monotonic() - start)
        stream.write(f"{CLEAR}{what if isinstance(what, str) else what()} ...{f' {seconds} s' if seconds else ''}")
        stream.flush()

    tell()
    try:
        with beside(tell, 1.0):
            yield
    finally:
        stream.write(CLEAR)
        stream.flush()
