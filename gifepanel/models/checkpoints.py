"""Where long runs of a model keep what they have finished, and what tells one run from another."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from gifepanel.checkpoint import Checkpoint, fingerprint
from gifepanel.exceptions import SpecificationError
from gifepanel.models.checks import check_seed

__all__ = ["check_repeatable", "checkpoint_of", "likeness", "six_digits"]


def check_repeatable(random_state: Any, checkpoint: Any) -> Any:
    """The seed; with a checkpoint it must be one that a second call can give again."""
    seed = check_seed(random_state)
    if checkpoint is None or isinstance(seed, numbers.Integral):
        return seed
    raise SpecificationError(
        f"random_state is {'None' if seed is None else type(seed).__name__}, and there is a checkpoint.",
        "A second call must make the same draws, which a whole number says.",
        "random_state=0",
    )


def six_digits(values: Iterable[float]) -> str:
    """Numbers of a fit as text that is the same on another machine, whose last digits are its own."""
    return " ".join(f"{value:.5e}" for value in values)


def likeness(value: Any) -> str:
    """What an object of any kind holds, as text that is the same in another process where it can be."""
    import joblib

    try:
        return str(joblib.hash(value))
    except Exception:  # whatever a pickle raises, of a function without a name for one
        return repr(value)


def checkpoint_of(folder: Any, what: str, random_state: Any, **parts: Any) -> Checkpoint | None:
    """The folder of a run, or None where there is none to be kept.

    Parameters
    ----------
    folder : str, path or None
    what : str
        The kind of run.
    random_state : int
        With a folder, as of :func:`check_repeatable`.
    **parts
        What the values depend on, by the name under which a difference is told: arrays, numbers, text, dataclasses.

    Raises
    ------
    SpecificationError
        If the folder can't be used, or holds another run.
    """
    if folder is None:
        return None
    about = {name: fingerprint(part) for name, part in parts.items()}
    seed = str(int(check_repeatable(random_state, folder)))
    return Checkpoint(folder, {"what": what, "version": version("gifepanel"), "random_state": seed, **about})
