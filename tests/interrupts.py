"""Interrupts a fit at random times, again and again, and prints what came of it: run as a process of its own.

``python interrupts.py MODEL TRIALS SEED``
"""

from __future__ import annotations

import collections
import os
import random
import signal
import sys
import threading
import time
from typing import Any

import numpy as np

import gifepanel as gife


def model_of(kind: str) -> Any:
    cigar = gife.datasets.load_cigar()
    if kind == "GroupedIFE":
        return gife.GroupedIFE.from_formula(
            "log(sales) ~ log(price) + log(ndi) | state", cigar, n_groups=2, n_factors=1
        )
    if kind == "InteractiveFE":
        return gife.InteractiveFE.from_formula("log(sales) ~ log(price) + log(ndi) | state", cigar, n_factors=2)
    rng = np.random.default_rng(0)
    n = 12_000
    frame = {name: rng.integers(0, 60, n) for name in "abc"} | {name: rng.normal(size=n) for name in "xy"}
    return gife.PartialledOLS.from_formula("y ~ x | a + b + c", __import__("pandas").DataFrame(frame))


def trial(model: Any, delay: float) -> str:
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        model.fit()
        time.sleep(20)
        return "lost"
    except KeyboardInterrupt:
        return "KeyboardInterrupt"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def main(kind: str, trials: int, seed: int) -> None:
    model = model_of(kind)
    first = model.fit()
    start = time.perf_counter()
    model.fit()
    length = time.perf_counter() - start
    random.seed(seed)
    found = collections.Counter(trial(model, random.uniform(0, 1.1 * length)) for _ in range(trials))
    again = model.fit()
    same = all(np.array_equal(getattr(first, name), getattr(again, name)) for name in ("params", "bse", "resid"))
    print(f"{found['KeyboardInterrupt']} of {trials}", "same" if same else "other", dict(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
