"""Linear hypotheses as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from patsy import DesignInfo

from gifepanel.exceptions import SpecificationError

__all__ = ["check_level", "read_hypothesis"]


def check_level(alpha: Any) -> float:
    """One less the level of an interval, a number between 0 and 1."""
    number = isinstance(alpha, (int, float, np.number)) and not isinstance(alpha, bool)
    if number and 0 < alpha < 1:
        return float(alpha)
    fix = f"alpha={1 - alpha / 100:.3g}" if number and 50 <= alpha < 100 else "alpha=0.05"
    raise SpecificationError(f"alpha is {alpha!r}.", "It must be between 0 and 1.", fix)


def read_level(level: Any) -> float:
    """The level of an interval, a number between 0 and 1."""
    number = isinstance(level, (int, float, np.number)) and not isinstance(level, bool)
    if number and 0 < level < 1:
        return float(level)
    fix = f"level={level / 100:.3g}" if number and 50 <= level < 100 else "level=0.95"
    raise SpecificationError(f"level is {level!r}.", "It must be between 0 and 1.", fix)


def read_hypothesis(hypothesis: Any, names: list[str]) -> Any:
    """A string hypothesis (or a list or dict of them) as the pair (R, q); a matrix or a pair is checked.

    Always patsy's grammar, whatever engine statsmodels is set to: formulaic's reads ``"a = b = 0"`` as one restriction.

    Raises
    ------
    SpecificationError
        With the names of the coefficients.
    """
    if isinstance(hypothesis, (str, Mapping)) or _all_text(hypothesis):
        return _parsed(hypothesis, names)
    pair = isinstance(hypothesis, tuple) and len(hypothesis) == 2
    matrix = np.asarray(hypothesis[0] if pair else hypothesis, dtype=np.float64)
    if matrix.ndim == 0 or matrix.ndim > 2 or matrix.shape[-1] != len(names):
        raise SpecificationError(
            f"The hypothesis has the shape {matrix.shape}.",
            f"A matrix needs {len(names)} columns, one per coefficient: {_listed(names)}.",
            f'"{_example(names)}"',
        )
    return hypothesis


def _all_text(hypothesis: Any) -> bool:
    some = isinstance(hypothesis, (list, tuple)) and len(hypothesis) > 0
    return some and all(isinstance(part, str) for part in hypothesis)


def _parsed(hypothesis: Any, names: list[str]) -> tuple[Any, Any]:
    if not hypothesis or (isinstance(hypothesis, str) and not hypothesis.strip()):
        raise SpecificationError(
            "The hypothesis is empty.", f"The coefficients are {_listed(names)}.", f'"{_example(names)}"'
        )
    try:
        constraint = DesignInfo(names).linear_constraint(hypothesis)
    except Exception as error:
        message = str(error).splitlines()[0]
        raise SpecificationError(
            f"The hypothesis {hypothesis!r} can't be read: {message}.",
            f"The coefficients are {_listed(names)}.",
            f'"{_example(names, str(hypothesis))}"',
        ) from None
    return constraint.coefs, constraint.constants.ravel()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _example(names: list[str], meant: str = "") -> str:
    """A hypothesis that works, about the regressor that was meant where it can be found; none that compares groups."""
    stems = {name.rpartition("[")[0] or name for name in names}
    stem = max((stem for stem in stems if stem in meant), key=len, default="")
    alike = [name for name in names if name == stem or name.startswith(f"{stem}[")] if stem else names
    groups = stem and all(name[len(stem) + 1 : -1].isdigit() for name in alike)
    return f"{alike[0]} = {alike[1]}" if len(alike) > 1 and not groups else f"{alike[0]} = 0"
