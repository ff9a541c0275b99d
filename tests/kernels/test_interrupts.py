"""Ctrl-C during a fit is a KeyboardInterrupt, also inside compiled code, and leaves nothing broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gifepanel.kernels._jit import jit

SCRIPT = Path(__file__).parents[1] / "interrupts.py"


@pytest.mark.parametrize(
    ("kind", "trials"),
    [
        ("InteractiveFE", 12),
        *(pytest.param(kind, 200, marks=pytest.mark.slow) for kind in ("GroupedIFE", "InteractiveFE", "PartialledOLS")),
    ],
)
def test_interrupts_at_random_times(kind: str, trials: int) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), kind, str(trials), "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{trials} of {trials} same"), done.stdout


def test_a_system_error_that_an_interrupt_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    @jit(cache=False)
    def first(values: np.ndarray) -> float:
        return values[0]

    values = np.ones(2)
    first(values)
    base = type(first).__mro__[1]

    def failing(self: object, *args: object) -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as found:
                raise SystemError("CPUDispatcher(...) returned a result with an exception set") from found
        except SystemError as inner:
            raise SystemError("<method-wrapper '__call__'> returned a result with an exception set") from inner

    with monkeypatch.context() as patched:
        patched.setattr(base, "__call__", failing, raising=False)
        with pytest.raises(KeyboardInterrupt):
            first(values)

    def broken(self: object, *args: object) -> None:
        raise SystemError("something else")

    with monkeypatch.context() as patched:
        patched.setattr(base, "__call__", broken, raising=False)
        with pytest.raises(SystemError, match="something else"):
            first(values)
    assert first(values) == 1.0
