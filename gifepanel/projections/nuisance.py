"""Outcome, treatments and features, checked, and which functions are to be learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.projections.folds import Folds
from gifepanel.projections.learners import Learners, probe, warn_unweighted

__all__ = ["Nuisance", "NuisanceData"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nuisance:
    """A function to learn.

    Attributes
    ----------
    name : str
    targets : ndarray, shape (R, n) or (1, n)
    features : ndarray, shape (n, k)
    learner : estimator
    """

    name: str
    targets: Array
    features: Array
    learner: Any

    def target(self, repeat: int) -> Array:
        """What is predicted (n,)."""
        return self.targets[repeat % len(self.targets)]


@dataclass(frozen=True, eq=False)
class NuisanceData:
    """Checked arrays and their names.

    Attributes
    ----------
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    z : ndarray, shape (n, k)
    weights : ndarray, shape (n,), or None
    outcome_name : str
    treatment_names, feature_names : tuple of str
    separate : bool
        Treatments one at a time, with the others among the features.
    """

    y: Array
    d: Array
    z: Array
    weights: Array | None
    outcome_name: str
    treatment_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    separate: bool

    @classmethod
    def read(cls, y: Any, d: Any, z: Any, weights: Any, names: tuple[Any, ...], treatments: str) -> NuisanceData:
        y = np.asarray(y, dtype=np.float64)
        d = np.asarray(d, dtype=np.float64)
        z = np.asarray(z, dtype=np.float64)
        d = d[:, None] if d.ndim == 1 else d
        n = y.shape[0] if y.ndim == 1 else -1
        if d.ndim != 2 or z.ndim != 2 or d.shape[0] != n or z.shape[0] != n or 0 in (n, d.shape[1]):
            raise DataError(
                f"Outcome, treatments and features have shapes {y.shape}, {d.shape} and {z.shape}.",
                "(n,), (n, p) and (n, k) are needed.",
                None,
            )
        if z.shape[1] == 0:
            raise SpecificationError(
                "There are no features for the learners.", "At least one control is needed.", 'partial="z1 + z2"'
            )
        outcome, given_d, given_z = names
        d_names = _names(given_d, d.shape[1], "d", "treatment_names")
        z_names = _names(given_z, z.shape[1], "z", "feature_names")
        for name, column in zip((outcome, *d_names, *z_names), np.column_stack([y, d, z]).T, strict=True):
            if not np.isfinite(column).all():
                bad = int((~np.isfinite(column)).sum())
                raise DataError(
                    f"{name} is NaN or infinite in {bad} rows.", "Learners need numbers.", "Drop these rows."
                )
        return cls(y, d, z, _weights(weights, n), outcome, d_names, z_names, treatments == "one at a time")

    @property
    def n_outcomes(self) -> int:
        """q."""
        return self.d.shape[1] if self.separate else 1

    def features(self, j: int) -> Array:
        """What treatment j is learned from: Z, and the other treatments where they are taken one at a time."""
        if not self.separate or self.d.shape[1] == 1:
            return self.z
        return np.column_stack([self.z, np.delete(self.d, j, axis=1)])

    def first_stage(self, learners: Learners) -> list[Nuisance]:
        """E[y | Z] (one, or one per treatment), then E[d_j | Z]."""
        features = [self.features(j) for j in range(self.d.shape[1])]
        out = []
        for j in range(self.n_outcomes):
            suffix = f" (for {self.treatment_names[j]})" if self.n_outcomes > 1 else ""
            out.append(Nuisance(self.outcome_name + suffix, self.y[None], features[j], learners.outcome))
        for j, name in enumerate(self.treatment_names):
            target = np.ascontiguousarray(self.d[:, j])[None]
            out.append(Nuisance(name, target, features[j], learners.treatments[j]))
        return out

    def second_stage(self, learners: Learners, preliminary: Array) -> list[Nuisance]:
        """E[y - d theta_0 | Z], at each repeat's theta_0 (R, p)."""
        if not self.separate:
            name = f"{self.outcome_name} - {' - '.join(f'{d} theta' for d in self.treatment_names)}"
            return [Nuisance(name, self.y - preliminary @ self.d.T, self.z, learners.structural)]
        return [
            Nuisance(
                f"{self.outcome_name} - {name} theta",
                self.y - np.outer(preliminary[:, j], self.d[:, j]),
                self.features(j),
                learners.structural,
            )
            for j, name in enumerate(self.treatment_names)
        ]

    def probe(self, learners: Learners, folds: Folds) -> None:
        """Try every learner on a few rows."""
        used = {own.name: own.learner for own in self.first_stage(learners)}
        if self.weights is not None:
            warn_unweighted(used)
        for own in self.first_stage(learners):
            probe(own.features, own.targets[0], self.weights, folds, own.learner, own.name)
        if learners.structural is not learners.outcome:
            probe(self.z, self.y, self.weights, folds, learners.structural, f"{self.outcome_name} - d theta")


def _names(given: Sequence[str] | None, count: int, letter: str, option: str) -> tuple[str, ...]:
    names = tuple(given) if given is not None else tuple(f"{letter}{j + 1}" for j in range(count))
    if len(names) != count:
        raise SpecificationError(
            f"{option} has {len(names)} names.", f"{count} are needed, one per column.", f"{option}=None"
        )
    return names


def _weights(given: Any, n: int) -> Array | None:
    if given is None:
        return None
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(
            f"The weights have shape {weights.shape}, or hold NaN, negative values or nothing but zeros.",
            f"{n} numbers that are not negative are needed.",
            "weights=None",
        )
    return weights
