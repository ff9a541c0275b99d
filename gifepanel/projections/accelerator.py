"""The PyPI package within-py as another solver of the reduced system: modified LSMR with a Schwarz preconditioner.

What it returns is a proposal: the residual is taken, and certified, by the same passes as with our own solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.projections.system import Effect, EffectSystem

__all__ = ["WithinSolver", "check_accelerator"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_PIN = "within-py>=0.4,<0.5"


def check_accelerator(name: str | None) -> None:
    """Raise unless `name` is None, or "within" and the package is there in a version that was tried.

    Raises
    ------
    SpecificationError
    """
    if name is None:
        return
    if name != "within":
        raise SpecificationError(f"accelerator is {name!r}.", 'It is None or "within".', 'accelerator="within"')
    try:
        found = version("within-py")
    except PackageNotFoundError:
        found = ""
    if found.split(".")[:2] != ["0", "4"]:
        raise SpecificationError(
            f"within-py {found} is installed." if found else "within-py is not installed.",
            f"{_PIN} is needed.",
            f'pip install "{_PIN}"',
        )


class WithinSolver:
    """Solves for the unknowns of an :class:`~gifepanel.projections.system.EffectSystem` by within-py.

    Parameters
    ----------
    system : EffectSystem
    effects : sequence of Effect
        Those the system was built of.
    tol : float
    max_iter : int
    """

    name = "LSMR (within-py)"

    def __init__(self, system: EffectSystem, effects: Sequence[Effect], tol: float, max_iter: int) -> None:
        self.system, self.tol, self.max_iter = system, tol, max_iter
        self._within = import_module("within")
        order = [g for g in (system.base, *system.others) if g >= 0]
        self._design = self._within.Design([self._term(effects[g]) for g in order])
        base = effects[system.base].n_levels if system.base >= 0 else 0
        self._slots = slice(base, base + system.size)

    def _term(self, effect: Effect) -> Any:
        rows = slice(None) if self.system.order is None else self.system.order
        levels = np.ascontiguousarray(np.asarray(effect.codes)[rows], dtype=np.uint32)
        slopes = None if effect.values is None else [np.ascontiguousarray(effect.values[rows])]
        return self._within.Effect(levels, effect.values is None, slopes)

    def solve(self, work: Array) -> tuple[Array, int]:
        """Unknowns (M, m) of sorted columns (n, m), and the iterations of the slowest."""
        found = self._within.solve_batch(
            self._design,
            np.asfortranarray(work),
            weights=self.system.weights if self.system.weights.size else None,
            options=self._within.LsmrOptions(tol=self.tol, maxiter=self.max_iter),
        )
        return np.ascontiguousarray(found.x[self._slots]), max(found.iterations, default=0)
