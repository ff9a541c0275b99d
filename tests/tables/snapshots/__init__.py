"""Stored reports, and how one is held against what is printed now."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["agree", "difference"]

HERE = Path(__file__).parent
REWRITE = "GIFEPANEL_REWRITE_SNAPSHOTS"
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
# Counts of iterations and residuals of the size of rounding errors differ between machines.
LOOSE = re.compile(r"\b\d+ (?:sweeps?|descent steps?|iterations?)\b|(?<=Largest residual in their span: )\S+")


def difference(stored: str, printed: str) -> str | None:
    """Where two reports differ in more than a digit of the last place; None if they agree.

    Words, signs and the layout must be equal to the letter. Numbers, which have as many decimals as are printed, may
    differ by one unit of the last.
    """
    stored, printed = LOOSE.sub("#", stored), LOOSE.sub("#", printed)
    if NUMBER.sub("#", stored) != NUMBER.sub("#", printed):
        for old, new in zip(stored.splitlines(), printed.splitlines(), strict=False):
            if NUMBER.sub("#", old) != NUMBER.sub("#", new):
                return f"stored : {old}\nprinted: {new}"
        return "one has more lines than the other"
    for old, new in zip(NUMBER.findall(stored), NUMBER.findall(printed), strict=True):
        if old != new and abs(_value(old) - _value(new)) > 1.001 * _unit(old):
            return f"{old} was stored, {new} is printed"
    return None


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _unit(number: str) -> float:
    """One unit of the last decimal; nothing for whole numbers."""
    mantissa, _, exponent = number.partition("e")
    decimals = mantissa.partition(".")[2]
    return 10.0 ** (int(exponent or 0) - len(decimals)) if decimals or exponent else 0.0


def agree(name: str, printed: str) -> None:
    """Hold `printed` against the stored file `name`; with ``GIFEPANEL_REWRITE_SNAPSHOTS=1`` it is written anew."""
    path = HERE / name
    if os.environ.get(REWRITE):
        path.write_text(printed + "\n", "utf-8")
    assert path.exists(), f"{name} is not stored; run the tests with {REWRITE}=1 and look at it."
    stored = path.read_text("utf-8").removesuffix("\n")
    found = difference(stored, printed)
    assert found is None, f"{name}: {found}\n(if this is meant: {REWRITE}=1)"
