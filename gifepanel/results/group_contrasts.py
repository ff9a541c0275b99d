"""Tests of estimated groups against each other: they say that the groups were formed to differ."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from statsmodels.stats.contrast import ContrastResults

from gifepanel.exceptions import SpecificationWarning, caller_level
from gifepanel.tables.text_width import wrap

__all__ = ["NaiveContrast", "compared_groups", "told_of_contrast"]

Array = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
_SAME = 1e-9


class NaiveContrast(ContrastResults):
    """statsmodels' result of a test, with a line that says what it takes for granted.

    Attributes
    ----------
    note : str
    """

    note: str

    @classmethod
    def of(cls, test: Any, note: str) -> NaiveContrast:
        """The same test with a note."""
        out = cls.__new__(cls)
        out.__dict__.update(vars(test))
        out.note = note
        return out

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *wrap(self.note, 78)])

    def __repr__(self) -> str:
        return str(self)


def compared_groups(matrix: Array, slots: IntArray, lengths: Array, *, joint: bool) -> list[tuple[int, int, int]]:
    """Regressor and two groups of every comparison that a hypothesis R b = q makes.

    Parameters
    ----------
    matrix : ndarray, shape (r, q)
        R.
    slots : ndarray of int64, shape (K, p)
        Position of the slopes of groups among the coefficients.
    lengths : ndarray, shape (q,)
        Of the regressors.
    joint : bool
        Whether the rows are one hypothesis: one that says what both slopes are compares nothing.
    """
    scaled = matrix / np.where(lengths > 0, lengths, 1.0)
    _, size, rows = np.linalg.svd(
        scaled / np.maximum(np.abs(scaled).max(axis=1, keepdims=True), 1e-300), full_matrices=False
    )
    rows = rows[size > _SAME * size.max(initial=0.0)]

    def implied(vector: Array) -> bool:
        left = vector - rows.T @ (rows @ vector)
        return bool(np.abs(left).max() <= _SAME * np.abs(vector).max())

    out = []
    for j, positions in enumerate(slots.T):
        for k in range(len(positions)):
            for other in range(k + 1, len(positions)):
                a, b = int(positions[k]), int(positions[other])
                if a == b:
                    continue
                unit = np.zeros((2, len(lengths)))
                unit[0, a], unit[1, b] = 1.0 / max(lengths[a], 1e-300), 1.0 / max(lengths[b], 1e-300)
                opposed = bool((matrix[:, a] * matrix[:, b] < 0).any()) or (joint and implied(unit[0] - unit[1]))
                if opposed and not (joint and implied(unit[0]) and implied(unit[1])):
                    out.append((j, k, other))
    return out


def told_of_contrast(test: Any, res: Any, matrix: Array, *, joint: bool) -> Any:
    """The test of a hypothesis, with a warning and a note where it compares estimated groups.

    Parameters
    ----------
    test : ContrastResults
    res : FactorResults
    matrix : ndarray, shape (r, q)
    joint : bool
    """
    slots = getattr(res, "_slots", None)
    if slots is None or len(slots) == 1 or res._groups_known:
        return test
    found = compared_groups(matrix, np.asarray(slots), res._covariance.triangle.lengths, joint=joint)
    if not found:
        return test
    names = list(dict.fromkeys(res.sample.regressors[j] for j, _, _ in found))
    groups = sorted({k + 1 for _, *pair in found for k in pair})
    listed = f"{', '.join(map(str, groups[:-1]))} and {groups[-1]}"
    what = ("The slope of", "was") if len(names) == 1 else ("Slopes of", "were")
    why = "Groups were formed to differ: where slopes are the same, such a test rejects far more often than it says"
    right = f'res.test_common("{names[0]}")'
    warnings.warn(
        SpecificationWarning(
            f"{what[0]} {', '.join(names)} in groups {listed} {what[1]} compared as if the groups had been given.",
            f"{why} (Wan, Sun & Xu 2025); res.test_groups() asks whether groups differ at all.",
            right,
        ),
        stacklevel=caller_level(),
    )
    return NaiveContrast.of(test, f"{why}. Tests that allow for it: res.test_groups(), and {right} for one regressor.")
