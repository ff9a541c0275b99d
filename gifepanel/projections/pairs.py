"""An outcome and one regressor while effects are taken out: what is left is written once the effects are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from gifepanel.projections.system import EffectSystem

__all__ = ["Pair"]

Array = np.ndarray[Any, np.dtype[np.float64]]


class Pair:
    """y and x (n,), less their centres, and what effects leave of them.

    Parameters
    ----------
    system : EffectSystem
        One that takes pairs.
    y, x : ndarray, shape (n,)
        In the caller's order.
    centre : ndarray, shape (2,)

    Attributes
    ----------
    left : tuple of ndarray, shape (n,)
        What is left of y and x; of shape (0,) before anything was taken out.
    right : ndarray, shape (M, 2)
        B'W of what is left.
    squares : ndarray, shape (2,)
        Its sums of squares.
    scale : ndarray, shape (2,)
        Lengths of y and x less their centres.
    """

    def __init__(self, system: EffectSystem, y: Array, x: Array, centre: Array) -> None:
        self._system, self._from, self._centre = system, (y, x), centre
        self.left: tuple[Array, Array] = (np.empty(0), np.empty(0))
        if not system.size:  # means are all there is
            self.left = (np.empty_like(y), np.empty_like(x))
        self.right, self.squares, total = system.sweep_pair(self._from, centre, np.empty((0, 2)), self.left)
        self.scale = np.sqrt(total)

    def take(self, step: Array) -> Array:
        """Take B step, (M, 2), and base means out of what is left: B'W of the rest."""
        if not self.left[0].size:
            self.left = (np.empty_like(self._from[0]), np.empty_like(self._from[1]))
        self.right, self.squares, _ = self._system.sweep_pair(self._from, self._centre, step, self.left)
        self._from, self._centre = self.left, np.zeros(2)
        return self.right

    def finish(self) -> None:
        """Write what is left, where nothing but base means had to be taken out."""
        if not self.left[0].size:
            self.take(np.empty((0, 2)))
