"""Cross-fitted learners: residuals of outcome and treatments on out-of-fold predictions.

The partially linear model (Robinson 1988; Chernozhukov et al. 2018, eq. 1.1-1.2)

    y = d theta + g(Z) + e,      d = m(Z) + v

has nuisance functions l(Z) = E[y | Z] and m(Z) = E[d | Z], learned on rows outside of a fold and predicted inside. What is
left, y - l(Z) and d - m(Z), are residualised columns as any other projection gives them;
:func:`gifepanel.inference.orthogonal.orthogonal_estimate` makes estimates of them.

Fixed effects come first (:func:`after_effects`): y, d and Z are residualised on the effects, and learners work on what is
left. For linear l and m that is exact. For others it is an approximation: a function of Z less its mean over an entity is
not a function of Z less its own mean (Clarke & Polselli 2025, who call it the within-group approximation). Features that
make it closer (squares, interactions, lags, entity means of Z where there are no entity effects) may be put in Z before.
Effects that cross folds (of time, if folds are of entities) are estimated on all rows, with an error of the order of one
over the number of rows per level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.parallel import Progress, run_tasks, spawn_seeds
from gifepanel.projections.base import Certificate, Projection
from gifepanel.projections.folds import Folds, check_folds, draw_folds, read_folds
from gifepanel.projections.learners import (
    Learners,
    describe,
    predict_fold,
    probe,
    read_learners,
    warn_unweighted,
)

__all__ = ["AfterEffects", "CrossFit", "NuisanceQuality", "after_effects", "cross_fit"]

Array = npt.NDArray[np.float64]

SCORES = ("partialling out", "IV-type")
TREATMENTS = ("jointly", "one at a time")
_SPANNED = 1e-9


@dataclass(frozen=True, eq=False)
class NuisanceQuality:
    """How well the learners predict rows they have not seen.

    Attributes
    ----------
    names : tuple of str
        Of the m nuisance functions: the outcome, the treatments, and with IV-type scores ``"y - x1 theta"``.
    r2 : ndarray, shape (R, m)
        1 - sum w (target - prediction)^2 / sum w (target - mean)^2 over all rows, out of fold; negative where the mean
        would have been better.
    rmse : ndarray, shape (R, m)
        Root of the weighted mean square of target - prediction, in units of the target.
    learners : tuple of str
        One line for each.
    """

    names: tuple[str, ...]
    r2: Array
    rmse: Array
    learners: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Out-of-fold predictions of nuisance functions.

    Attributes
    ----------
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    weights : ndarray, shape (n,), or None
    outcome_hat : ndarray, shape (R, n, q)
        Predictions of y; q is 1, or p where treatments are taken one at a time (the others are among the features).
    treatment_hat : ndarray, shape (R, n, p)
    structural_hat : ndarray, shape (R, n, q), or None
        Predictions of y - d theta_0 at the preliminary theta_0, for IV-type scores.
    preliminary : ndarray, shape (R, p), or None
        theta_0, from the partialling-out score.
    folds : tuple of Folds
        One per repeat.
    score : {"partialling out", "IV-type"}
    treatments : {"jointly", "one at a time"}
    outcome_name : str
    treatment_names : tuple of str
    quality : NuisanceQuality
    """

    y: Array
    d: Array
    weights: Array | None
    outcome_hat: Array
    treatment_hat: Array
    structural_hat: Array | None
    preliminary: Array | None
    folds: tuple[Folds, ...]
    score: str
    treatments: str
    outcome_name: str
    treatment_names: tuple[str, ...]
    quality: NuisanceQuality

    @property
    def n_repeats(self) -> int:
        """R."""
        return len(self.folds)

    def y_tilde(self, repeat: int) -> Array:
        """Outcome less its prediction, (n, q)."""
        return self.y[:, None] - self.outcome_hat[repeat]

    def d_tilde(self, repeat: int) -> Array:
        """Treatments less their predictions, (n, p)."""
        return self.d - self.treatment_hat[repeat]


@dataclass(frozen=True, eq=False)
class AfterEffects:
    """Columns with effects taken out.

    Attributes
    ----------
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    z : ndarray, shape (n, k)
        Exactly zero in columns that the effects span.
    certificate : Certificate
    spanned_treatments, spanned_features : tuple of int
        Columns of d and z that the effects span.
    """

    y: Array
    d: Array
    z: Array
    certificate: Certificate
    spanned_treatments: tuple[int, ...]
    spanned_features: tuple[int, ...]


def after_effects(projection: Projection, y: Array, d: Array, z: Array) -> AfterEffects:
    """Residualise outcome, treatments and features on effects, in one block.

    Parameters
    ----------
    projection : Projection
        Of the effects.
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    z : ndarray, shape (n, k)

    Returns
    -------
    AfterEffects
    """
    columns = np.column_stack([y, d, z])
    out, certificate = projection.residualize(columns)
    before, after = np.linalg.norm(columns, axis=0), np.linalg.norm(out, axis=0)
    spanned = (after <= _SPANNED * before) | (before == 0)
    out[:, spanned] = 0.0  # rounding is nothing to learn from
    first = 1 + d.shape[1]
    return AfterEffects(
        np.ascontiguousarray(out[:, 0]),
        np.ascontiguousarray(out[:, 1:first]),
        np.ascontiguousarray(out[:, first:]),
        certificate,
        tuple(int(j) for j in np.flatnonzero(spanned[1:first])),
        tuple(int(j) for j in np.flatnonzero(spanned[first:])),
    )


def cross_fit(
    y: npt.ArrayLike,
    d: npt.ArrayLike,
    z: npt.ArrayLike,
    learner: Any,
    *,
    groups: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
    n_folds: int = 5,
    n_repeats: int = 1,
    folds: Any = None,
    score: str = "partialling out",
    treatments: str = "jointly",
    weights: npt.ArrayLike | None = None,
    outcome_name: str = "y",
    treatment_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    as_observed: Array | None = None,
    unseen: str = "raise",
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Progress = None,
) -> CrossFit:
    """Predict outcome and treatments out of fold.

    Parameters
    ----------
    y : array_like, shape (n,)
        Outcome; like d and z with effects taken out, where there are any (:func:`after_effects`).
    d : array_like, shape (n, p) or (n,)
        Treatments: the columns whose coefficients are wanted.
    z : array_like, shape (n, k)
        Features of the nuisance functions.
    learner : estimator or dict
        A scikit-learn regressor or pipeline, or several by name (:func:`~gifepanel.projections.learners.read_learners`).
        They are cloned; random states left open are set from `random_state`, per repeat, fold and column. Classifiers
        predict the probability of a treatment of 0 and 1.
    groups : array_like, shape (n,), or one or two of them
        Rows of a group (entity) stay in one fold. Two ways give product folds, `n_folds` squared of them. None: plain
        K-fold on rows.
    n_folds, n_repeats : int
        K for each way, and how many independent divisions R. One fold means no cross-fitting.
    folds : array_like of int, list of (train, test), list of lists, or splitter; optional
        Own folds (:func:`~gifepanel.projections.folds.read_folds`) instead of `n_folds` and `n_repeats`.
    score : {"partialling out", "IV-type"}
        IV-type also learns g(Z) = E[y - d theta_0 | Z] at a preliminary theta_0.
    treatments : {"jointly", "one at a time"}
        "one at a time" puts the other treatments among the features, as the package doubleml does.
    weights : array_like, shape (n,), optional
        Given to learners whose fit takes ``sample_weight``.
    outcome_name, treatment_names, feature_names
        For learners by name and for messages.
    as_observed : ndarray, shape (n, p + k), optional
        d and z before effects were taken out, to find levels that a fold does not see.
    unseen : {"raise", "warn"}
        What to do about such levels.
    random_state : int, Generator, SeedSequence or None
        The result does not depend on `n_jobs`.
    n_jobs, progress
        See :func:`gifepanel.parallel.run_tasks`.

    Returns
    -------
    CrossFit

    Raises
    ------
    SpecificationError
        For learners, folds or options that can't be used.
    DataError
        For arrays that don't fit together, hold NaN, or have levels unseen in training.

    References
    ----------
    Chernozhukov, V., D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey and J. Robins (2018). Double/debiased
    machine learning for treatment and structural parameters. *Econometrics Journal* 21, C1-C68.
    Clarke, P. and A. Polselli (2025). Double machine learning for static panel models with fixed effects.
    *Econometrics Journal*.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> z = np.arange(12.0)[:, None] % 5
    >>> d = z[:, 0] + np.arange(12) % 2
    >>> fit = cross_fit(2 * d + z[:, 0], d, z, LinearRegression(), n_folds=3)
    >>> bool(np.allclose(fit.y_tilde(0), 2 * fit.d_tilde(0)))
    True
    """
    _check_choice("score", score, SCORES)
    _check_choice("treatments", treatments, TREATMENTS)
    _check_choice("unseen", unseen, ("raise", "warn"))
    data = _Data.read(y, d, z, weights, (outcome_name, treatment_names, feature_names), treatments)
    learners = read_learners(learner, outcome_name, data.treatment_names, structural=score == "IV-type")
    ways = _ways(groups)
    seeds = spawn_seeds(random_state, 2)
    n = data.y.size
    division = (
        draw_folds(n, n_folds=n_folds, n_repeats=n_repeats, groups=ways, random_state=seeds[0])
        if folds is None
        else read_folds(folds, n, groups=ways)
    )
    observed = np.column_stack([data.d, data.z]) if as_observed is None else as_observed
    check_folds(division, observed, (*data.treatment_names, *data.feature_names), groups=ways, unseen=unseen)
    data.probe(learners, division[0])

    runner = partial(run_tasks, n_jobs=n_jobs, progress=progress, description="cross-fitting")
    first = _Stage(data, division, data.first_stage(learners), seeds[1], 0)
    outcome_hat, treatment_hat = np.split(first.run(runner), [data.n_outcomes], axis=2)
    preliminary = structural_hat = None
    stages = [first]
    if score == "IV-type":
        preliminary = np.stack(
            [_preliminary(data, a, b) for a, b in zip(outcome_hat, treatment_hat, strict=True)]
        )
        second = _Stage(data, division, data.second_stage(learners, preliminary), seeds[1], 1)
        structural_hat = second.run(runner)
        stages.append(second)
    return CrossFit(
        data.y,
        data.d,
        data.weights,
        outcome_hat,
        treatment_hat,
        structural_hat,
        preliminary,
        division,
        score,
        treatments,
        outcome_name,
        data.treatment_names,
        _quality(stages, data.weights),
    )


# ---- the data


@dataclass(frozen=True, eq=False)
class _Nuisance:
    """One function to learn: its target (R or 1, n), what it is learned from, and by what."""

    name: str
    targets: Array
    features: Array
    learner: Any


@dataclass(frozen=True, eq=False)
class _Data:
    """Checked arrays and their names."""

    y: Array
    d: Array
    z: Array
    weights: Array | None
    outcome_name: str
    treatment_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    separate: bool

    @classmethod
    def read(cls, y: Any, d: Any, z: Any, weights: Any, names: tuple[Any, ...], treatments: str) -> _Data:
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
                raise DataError(f"{name} is NaN or infinite in {bad} rows.", "Learners need numbers.", "Drop these rows.")
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

    def first_stage(self, learners: Learners) -> list[_Nuisance]:
        """E[y | Z] (one, or one per treatment), then E[d_j | Z]."""
        features = [self.features(j) for j in range(self.d.shape[1])]
        out = []
        for j in range(self.n_outcomes):
            suffix = f" (for {self.treatment_names[j]})" if self.n_outcomes > 1 else ""
            out.append(_Nuisance(self.outcome_name + suffix, self.y[None], features[j], learners.outcome))
        for j, name in enumerate(self.treatment_names):
            target = np.ascontiguousarray(self.d[:, j])[None]
            out.append(_Nuisance(name, target, features[j], learners.treatments[j]))
        return out

    def second_stage(self, learners: Learners, preliminary: Array) -> list[_Nuisance]:
        """E[y - d theta_0 | Z], at each repeat's theta_0 (R, p)."""
        if not self.separate:
            name = f"{self.outcome_name} - {' - '.join(f'{d} theta' for d in self.treatment_names)}"
            return [_Nuisance(name, self.y - preliminary @ self.d.T, self.z, learners.structural)]
        return [
            _Nuisance(
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


def _ways(groups: Any) -> tuple[Any, ...]:
    """Groups as a tuple of ways."""
    if groups is None:
        return ()
    several = isinstance(groups, (list, tuple)) and all(np.ndim(way) == 1 for way in groups)
    return tuple(groups) if several else (groups,)


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise SpecificationError(
            f"{name} is {value!r}.", f"It must be one of {', '.join(map(repr, choices))}.", f"{name}={choices[0]!r}"
        )


# ---- the work


@dataclass(frozen=True, eq=False)
class _Stage(Sequence[tuple[Any, ...]]):
    """All (repeat, fold, function) tasks of functions that can be learned at the same time."""

    data: _Data
    folds: tuple[Folds, ...]
    functions: list[_Nuisance]
    seed: np.random.SeedSequence
    number: int

    @property
    def keys(self) -> list[tuple[int, int, int]]:
        """(repeat, fold, function) of the tasks."""
        return list(self._keys())

    def _keys(self) -> Iterator[tuple[int, int, int]]:
        for r, division in enumerate(self.folds):
            present = np.unique(division.labels)  # two ways of grouping can leave cells empty
            for k in present.tolist():
                for j in range(len(self.functions)):
                    yield r, k, j

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: Any) -> Any:
        r, k, j = self.keys[index]
        own = self.functions[j]
        # by place, so that a column's stream doesn't depend on how many others there are
        key = (*self.seed.spawn_key, r, k, self.number, j)
        seed = np.random.SeedSequence(self.seed.entropy, spawn_key=key)
        target = own.targets[r % len(own.targets)]
        what = f"{own.name} (repeat {r + 1}, fold {k + 1})"
        return own.features, target, self.data.weights, self.folds[r], k, own.learner, seed, what

    def run(self, runner: Any) -> Array:
        """Predictions (R, n, functions)."""
        keys = self.keys
        tasks = [self[i] for i in range(len(keys))]
        out = np.full((len(self.folds), self.data.y.size, len(self.functions)), np.nan)
        for (r, k, j), values in zip(keys, runner(predict_fold, tasks), strict=True):
            out[r, self.folds[r].test(k), j] = values
        object.__setattr__(self, "predictions", out)
        return out


def _preliminary(data: _Data, outcome_hat: Array, treatment_hat: Array) -> Array:
    """theta_0 of the partialling-out score (p,)."""
    u, v = data.y[:, None] - outcome_hat, data.d - treatment_hat
    weighted = v if data.weights is None else v * data.weights[:, None]
    if data.separate:
        return np.asarray((weighted * u).sum(axis=0) / (weighted * v).sum(axis=0))
    return np.linalg.lstsq(weighted.T @ v, weighted.T @ u[:, 0], rcond=None)[0]


def _quality(stages: Sequence[_Stage], weights: Array | None) -> NuisanceQuality:
    raise NotImplementedError
