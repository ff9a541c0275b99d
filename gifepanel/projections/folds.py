"""Folds for cross-fitting: drawn by groups, or the caller's own, and checked before any learner runs."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning, caller_level
from gifepanel.parallel import spawn_seeds

__all__ = ["Folds", "check_folds", "draw_folds", "read_folds"]

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_GLANCE = 256


@dataclass(frozen=True, eq=False)
class Folds:
    """One division of n rows into K folds.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        The fold in which a row is predicted, 0..K-1.
    n_folds : int
        K. One fold means no cross-fitting: all rows train and are predicted.
    ways : tuple of ndarray of int64, each shape (n,)
        Folds of each way of grouping. With two ways the K = K1 K2 folds are their products, and a fold trains on rows
        that share neither its groups of the first way nor those of the second (Chiang, Kato, Ma & Sasaki 2022).
    own_train : tuple of ndarray of int64, or None
        Training rows of each fold where the caller chose them; otherwise all rows outside of the fold's groups.
    """

    labels: IntArray
    n_folds: int
    ways: tuple[IntArray, ...]
    own_train: tuple[IntArray, ...] | None = None

    def test(self, fold: int) -> IntArray:
        """Rows predicted in a fold."""
        return np.flatnonzero(self.labels == fold)

    def train(self, fold: int) -> IntArray:
        """Rows that the learner of a fold sees."""
        if self.own_train is not None:
            return self.own_train[fold]
        if self.n_folds == 1:
            return np.arange(self.labels.size)
        if len(self.ways) == 1:
            return np.flatnonzero(self.labels != fold)
        first, second = self.place(fold)
        return np.flatnonzero((self.ways[0] != first) & (self.ways[1] != second))

    def place(self, fold: int) -> tuple[int, ...]:
        """Fold of each way of a product fold."""
        return (fold,) if len(self.ways) == 1 else divmod(fold, int(self.ways[1].max()) + 1)

    def splits(self) -> list[tuple[IntArray, IntArray]]:
        """(train, test) of every fold, as scikit-learn's ``cv=`` takes them."""
        return [(self.train(k), self.test(k)) for k in range(self.n_folds)]


def draw_folds(
    n_rows: int,
    *,
    n_folds: int = 5,
    n_repeats: int = 1,
    groups: Sequence[npt.ArrayLike] = (),
    random_state: Any = 0,
) -> tuple[Folds, ...]:
    """Draw folds of (nearly) equally many groups, or rows where there are no groups.

    Parameters
    ----------
    n_rows : int
        n.
    n_folds : int
        K for each way of grouping; 1 for no cross-fitting.
    n_repeats : int
        Independent divisions.
    groups : sequence of array_like, each shape (n,)
        Labels whose rows stay together: none, one way, or two (product folds, K^2 of them).
    random_state : int, Generator, SeedSequence or None
        Each repeat draws from its own stream.

    Returns
    -------
    tuple of Folds
        One per repeat.

    Raises
    ------
    SpecificationError
        If there are fewer groups than folds, or a number isn't one.
    """
    n_folds = _count("n_folds", n_folds, 5)
    n_repeats = _count("n_repeats", n_repeats, 1)
    coded = group_codes(groups, n_rows) or (np.arange(n_rows),)
    for way, codes in enumerate(coded):
        available = int(codes.max(initial=-1)) + 1
        if available < n_folds:
            what = "rows" if not len(groups) else "groups" if len(groups) == 1 else f"groups in way {way + 1}"
            raise SpecificationError(
                f"n_folds is {n_folds}, and there are {available} {what}.",
                "Every fold needs at least one of its own.",
                f"n_folds={min(5, available)}" if available > 1 else "folds=np.arange(n) % 5",
            )
    if n_folds == 1:
        warnings.warn(
            SpecificationWarning(
                "n_folds is 1: the learners predict the rows they were trained on.",
                "Without cross-fitting the estimates are biased unless the learners are very simple.",
                "n_folds=5",
            ),
            stacklevel=caller_level(),
        )
    return tuple(_draw(coded, n_folds, seed) for seed in spawn_seeds(random_state, n_repeats))


def _draw(coded: Sequence[IntArray], n_folds: int, seed: Any) -> Folds:
    rng = np.random.default_rng(seed)
    ways = []
    for codes in coded:
        n_groups = int(codes.max(initial=-1)) + 1
        fold_of = np.empty(n_groups, dtype=np.int64)
        # as many groups as possible in each fold, the first ones one more: scikit-learn's KFold on a shuffled list
        fold_of[rng.permutation(n_groups)] = np.arange(n_groups) * n_folds // n_groups
        ways.append(fold_of[codes])
    labels = ways[0] if len(ways) == 1 else ways[0] * n_folds + ways[1]
    return Folds(labels, n_folds ** len(ways), tuple(ways))


def group_codes(groups: Sequence[npt.ArrayLike], n_rows: int) -> tuple[IntArray, ...]:
    """Labels of each way of grouping as codes 0..G-1, checked."""
    if len(groups) > 2:
        raise SpecificationError(
            f"Folds by {len(groups)} ways of grouping.", "One or two are possible.", "groups=[firm]"
        )
    coded = []
    for given in groups:
        values = np.asarray(given)
        missing = values.dtype.kind == "f" and bool(np.isnan(values).any())
        if values.shape != (n_rows,) or missing:
            raise DataError(
                f"The groups of the folds hold NaN or have shape {values.shape}.",
                f"One label for each of the {n_rows} rows is needed.",
                "Fill or drop those rows.",
            )
        coded.append(np.unique(values, return_inverse=True)[1].astype(np.int64))
    return tuple(coded)


# ---- the caller's own


def read_folds(given: Any, n_rows: int, *, groups: Sequence[npt.ArrayLike] = ()) -> tuple[Folds, ...]:
    """Own folds: labels, pairs of rows, or a scikit-learn splitter.

    Parameters
    ----------
    given : array_like of int, shape (n,) or (R, n); list of (train, test); list of such lists; or a splitter
        An array holds the fold of each row, a row of it per repeat. Pairs hold positions of rows (or masks). A list of
        lists is one list of pairs per repeat. A splitter has ``split(X, y, groups)``.
    n_rows : int
    groups : sequence of array_like
        The first goes to a splitter.

    Returns
    -------
    tuple of Folds
        One per repeat.

    Raises
    ------
    SpecificationError, DataError
        If rows are predicted twice or never, a fold has no training rows, or trains on rows it predicts.
    """
    if callable(getattr(given, "split", None)) and not isinstance(given, str):
        first = np.asarray(groups[0]) if len(groups) else None
        given = list(given.split(np.zeros((n_rows, 1)), np.zeros(n_rows), first))
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], numbers.Integral):
        given = np.asarray(given)
    if isinstance(given, np.ndarray) and given.dtype.kind in "iu" and given.ndim in (1, 2):
        return tuple(_from_labels(row, n_rows) for row in np.atleast_2d(given))
    if not isinstance(given, (list, tuple)) or not given:
        raise _unreadable(f"The folds are {type(given).__name__}", n_rows)
    if _is_pair(given[0]):
        return (_from_pairs(given, n_rows),)
    if all(isinstance(own, (list, tuple)) and own and all(map(_is_pair, own)) for own in given):
        return tuple(_from_pairs(own, n_rows) for own in given)
    raise _unreadable("The folds are neither labels nor pairs (train, test)", n_rows)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(np.ndim(_flat(part)) == 1 for part in value)


def _flat(part: Any) -> Any:
    # a list of pairs would be ragged: only flat sequences are positions of rows
    if isinstance(part, (list, tuple)) and any(isinstance(p, (list, tuple, np.ndarray)) for p in part):
        return 0
    return part


def _unreadable(found: str, n_rows: int) -> SpecificationError:
    return SpecificationError(
        found + ".",
        f"The fold of each of the {n_rows} rows is needed, or a list of pairs (train, test) of row numbers.",
        "folds=np.arange(n) % 5",
    )


def _from_labels(labels: npt.NDArray[Any], n_rows: int) -> Folds:
    if labels.shape != (n_rows,):
        raise _unreadable(f"The folds have {labels.size} labels", n_rows)
    known, codes = np.unique(labels, return_inverse=True)
    if known.size < 2:
        raise SpecificationError(
            "The folds have one label only.", "Two folds or more are needed.", "folds=np.arange(n) % 5"
        )
    codes = codes.astype(np.int64)
    return Folds(codes, int(known.size), (codes,))


def _from_pairs(pairs: Sequence[Any], n_rows: int) -> Folds:
    labels = np.full(n_rows, -1, dtype=np.int64)
    times = np.zeros(n_rows, dtype=np.int64)
    own = []
    for k, pair in enumerate(pairs):
        if not _is_pair(pair):
            raise _unreadable(f"Fold {k + 1} is not a pair (train, test)", n_rows)
        train, test = (_positions(part, n_rows, k) for part in pair)
        if not train.size or not test.size:
            raise SpecificationError(
                f"Fold {k + 1} has {train.size} rows to train on and {test.size} to predict.",
                "Both must have some.",
                "Leave the fold out, or use fewer.",
            )
        shared = int(np.isin(test, train).sum())
        if shared and len(pairs) > 1:
            raise SpecificationError(
                f"Fold {k + 1} trains on {shared} of the rows it predicts.",
                "Predictions must be out of fold.",
                f"Take them out of the training rows of fold {k + 1}.",
            )
        labels[test] = k
        np.add.at(times, test, 1)
        own.append(np.unique(train))
    wrong = int((times != 1).sum())
    if wrong:
        never, row = int((times == 0).sum()), int(np.flatnonzero(times != 1)[0])
        raise SpecificationError(
            f"Of {n_rows} rows {never} are predicted in no fold and {wrong - never} in several, row {row} first.",
            "Every row must be predicted exactly once.",
            "folds=list(KFold(5).split(z))",
        )
    return Folds(labels, len(pairs), (labels,), tuple(own))


def _positions(part: Any, n_rows: int, fold: int) -> IntArray:
    values = np.asarray(part)
    if values.dtype.kind == "b" and values.shape == (n_rows,):
        return np.flatnonzero(values)
    if values.size == 0:
        return np.empty(0, dtype=np.int64)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= n_rows:
        raise _unreadable(f"Fold {fold + 1} has entries that are no row numbers from 0 to {n_rows - 1}", n_rows)
    return values.astype(np.int64)


# ---- checks against the data


def check_folds(
    folds: Sequence[Folds],
    columns: Array,
    names: Sequence[str],
    *,
    groups: Sequence[npt.ArrayLike] = (),
    unseen: str = "raise",
) -> None:
    """Find levels that a fold's training rows lack, and groups on both sides of a fold.

    A column with one value among the training rows and another among the predicted ones (a dummy of an unseen level,
    mostly) is something no learner can know about.

    Parameters
    ----------
    folds : sequence of Folds
        One per repeat.
    columns : ndarray, shape (n, m)
        As the data have them, before effects were taken out.
    names : sequence of str
    groups : sequence of array_like
    unseen : {"raise", "warn"}

    Raises
    ------
    DataError
        For unseen levels, unless ``unseen="warn"``.
    """
    found: dict[int, tuple[int, int]] = {}
    for repeat, division in enumerate(folds):
        for fold in range(division.n_folds):
            train, test = division.train(fold), division.test(fold)
            if not test.size:  # an empty cell of two ways of grouping
                continue
            if not train.size:
                raise SpecificationError(
                    f"Fold {fold + 1} of repeat {repeat + 1} has no rows to train on.",
                    "Some are needed outside of its groups.",
                    "Fewer ways of grouping, or more folds.",
                )
            for j in _constant(columns, train):
                if (columns[test, j] != columns[train[0], j]).any():
                    found.setdefault(j, (repeat, fold))
    if found:
        _report_unseen(found, names, unseen)
    for codes in group_codes(groups, columns.shape[0]):
        _warn_split(folds, codes)


def _constant(columns: Array, train: IntArray) -> list[int]:
    """Columns with one value among the training rows; most are ruled out at a glance."""
    glance = columns[train[:: max(1, train.size // _GLANCE)]]
    left = np.flatnonzero((glance == glance[0]).all(axis=0))
    return [int(j) for j in left if (columns[train, j] == columns[train[0], j]).all()]


def _report_unseen(found: dict[int, tuple[int, int]], names: Sequence[str], unseen: str) -> None:
    said = [f"{names[j]} (repeat {r + 1}, fold {k + 1})" for j, (r, k) in sorted(found.items())]
    text = ", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else "")
    message = f"Levels unseen in training: {text}."
    if unseen == "warn":
        warnings.warn(
            SpecificationWarning(message, "Predictions for these rows are extrapolations.", "Merge rare levels."),
            stacklevel=caller_level(),
        )
        return
    raise DataError(
        message,
        "Each of these columns has one value where the fold trains and another where it predicts.",
        'Merge rare levels, use fewer folds or own ones (folds=...), or accept it: unseen="warn".',
    )


def _warn_split(folds: Sequence[Folds], codes: IntArray) -> None:
    for repeat, division in enumerate(folds):
        if division.own_train is None and len(division.ways) == 2:
            continue
        for fold in range(division.n_folds if division.n_folds > 1 else 0):
            inside = np.zeros(int(codes.max()) + 1, dtype=bool)
            inside[codes[division.train(fold)]] = True
            shared = int(np.unique(codes[division.test(fold)][inside[codes[division.test(fold)]]]).size)
            if shared:
                warnings.warn(
                    SpecificationWarning(
                        f"{shared} groups have rows on both sides of fold {fold + 1} (repeat {repeat + 1}).",
                        "Dependence within groups then leaks into the predictions.",
                        "Folds of whole groups: n_folds=5, folds=None.",
                    ),
                    stacklevel=caller_level(),
                )
                return


def _count(name: str, value: Any, usual: int) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise SpecificationError(f"{name} is {value!r}.", "It must be a whole number, 1 or more.", f"{name}={usual}")
