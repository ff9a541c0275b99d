"""Random fixed-effects designs, and their projections on dense dummies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gifepanel.projections.system import Effect


@dataclass(frozen=True)
class Design:
    """Effects of n rows, perhaps with weights; columns to be residualised."""

    effects: tuple[Effect, ...]
    weights: np.ndarray | None
    columns: np.ndarray

    @property
    def dummies(self) -> np.ndarray:
        """All dummies, times the slope variables."""
        return dummies(self.effects)

    @property
    def root(self) -> np.ndarray:
        return np.ones(len(self.columns)) if self.weights is None else np.sqrt(self.weights)

    @property
    def basis(self) -> np.ndarray:
        """Orthonormal basis of sqrt(w) times the dummies, by singular values."""
        d = self.dummies * self.root[:, None]
        length = np.linalg.norm(d, axis=0)
        u, s, _ = np.linalg.svd(d[:, length > 0] / length[length > 0], full_matrices=False)
        return u[:, s > 1e-8 * s[0]]

    @property
    def rank(self) -> int:
        return self.basis.shape[1]

    def residuals(self) -> np.ndarray:
        """Of the columns, in sqrt(w) units."""
        q, out = self.basis, self.columns * self.root[:, None]
        for _ in range(2):
            out = out - q @ (q.T @ out)
        return out


def dummies(effects: tuple[Effect, ...]) -> np.ndarray:
    return np.hstack([np.eye(e.n_levels)[e.codes] * (1.0 if e.values is None else e.values[:, None]) for e in effects])


def effect(name: str, labels: np.ndarray, values: np.ndarray | None = None) -> Effect:
    """Levels numbered without holes."""
    codes, levels = pd.factorize(labels, sort=True)
    return Effect(name, codes.astype(np.int64), len(levels), values)


KINDS = (
    "one",
    "two",
    "disconnected",
    "nested",
    "equal",
    "three",
    "four",
    "slope",
    "slope and another",
    "slopes alone",
    "two slopes alone",
    "large scale slope",
)


def design(kind: str, weights: str = "none", *, n: int = 240, seed: int = 0) -> Design:
    """A design by name; weights "none", "positive" or "zeros"."""
    rng = np.random.default_rng(seed)
    a, b, c, d = (rng.integers(0, k, n) for k in (30, 12, 6, 4))
    z, t = rng.normal(size=n), rng.normal(size=n) + 3.0
    plain = {"a": effect("a", a), "b": effect("b", b), "c": effect("c", c), "d": effect("d", d)}
    apart = np.where(a % 2 == 0, b % 6, 6 + b % 6)
    chosen = {
        "one": (plain["a"],),
        "two": (plain["b"], plain["a"]),
        "disconnected": (plain["a"], effect("apart", apart), plain["c"]),
        "nested": (plain["a"], effect("group", a // 4), plain["b"]),
        "equal": (plain["a"], effect("again", a)),
        "three": (plain["c"], plain["a"], plain["b"]),
        "four": (plain["a"], plain["b"], plain["c"], plain["d"]),
        "slope": (plain["b"], effect("b[z]", b, z)),
        "slope and another": (plain["c"], effect("c[z]", c, z), plain["a"]),
        "slopes alone": (effect("b[z]", b, np.where(rng.random(n) < 0.1, 0.0, z)),),
        "two slopes alone": (effect("b[z]", b, z), effect("c[t]", c, t)),
        "large scale slope": (plain["b"], effect("b[z]", b, 1e9 * z), plain["a"]),
    }[kind]
    w = {"none": None, "positive": rng.uniform(0.2, 3, n), "zeros": np.where(rng.random(n) < 0.15, 0.0, z**2 + 0.1)}
    if weights == "zeros":
        w["zeros"][a == 3] = 0.0  # a level without any weight
    signal = dummies(chosen) @ rng.normal(size=sum(e.n_levels for e in chosen))
    noise = rng.normal(size=(n, 3))
    return Design(chosen, w[weights], np.column_stack([noise[:, 0] + signal / max(1.0, signal.std()), noise[:, 1:]]))


def ring(workers: int, firms: int, periods: int, *, seed: int = 0) -> tuple[Effect, ...]:
    """Workers who move to the next firm on a ring once: conjugate gradients stall."""
    rng = np.random.default_rng(seed)
    worker = np.repeat(np.arange(workers), periods)
    home = np.arange(workers) * firms // workers
    moved = (np.arange(periods)[None, :] >= rng.integers(1, periods, workers)[:, None]).astype(int)
    firm = (home[:, None] + moved) % firms
    return effect("worker", worker), effect("firm", firm.ravel())
