"""Cross-fitted learners: residuals of outcome and treatments on out-of-fold predictions.

The partially linear model (Robinson 1988; Chernozhukov et al. 2018, eq. 1.1-1.2)

    y = d theta + g(Z) + e,      d = m(Z) + v

has nuisance functions l(Z) = E[y | Z] and m(Z) = E[d | Z], learned on rows outside of a fold and predicted inside.
What is left, y - l(Z) and d - m(Z), are residualised columns as any other projection gives them;
:func:`gifepanel.inference.orthogonal.orthogonal_estimate` makes estimates of them.

Fixed effects come first (:func:`after_effects`): y, d and Z are residualised on the effects, and learners work on
what is left. For linear l and m that is exact. For others it is an approximation: a function of Z less its mean over
an entity is not a function of Z less its own mean (Clarke & Polselli 2025, who call it the within-group
approximation). Powers and interactions that matter can be put in Z beforehand, so that they are residualised
themselves. Effects that cross folds (of time, if folds are of entities) are estimated on all rows, with an error of
the order of one over the number of rows per level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.checkpoint import Checkpoint, fingerprint
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.parallel import Progress, run_tasks, spawn_seeds
from gifepanel.projections.base import Certificate, Projection
from gifepanel.projections.composite import spanned_columns
from gifepanel.projections.folds import Folds, check_folds, draw_folds, read_folds
from gifepanel.projections.learners import describe, predict_fold, read_learners
from gifepanel.projections.nuisance import Nuisance, NuisanceData

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
    spanned_outcome : bool
    """

    y: Array
    d: Array
    z: Array
    certificate: Certificate
    spanned_treatments: tuple[int, ...]
    spanned_features: tuple[int, ...]
    spanned_outcome: bool = False


def after_effects(projection: Projection, y: Array, d: Array, z: Array, weights: Array | None = None) -> AfterEffects:
    """Residualise outcome, treatments and features on effects, in one block.

    Parameters
    ----------
    projection : Projection
        Of the effects.
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    z : ndarray, shape (n, k)
    weights : ndarray, shape (n,), optional
        Of the projection, to judge what is left.

    Returns
    -------
    AfterEffects
    """
    columns = np.column_stack([y, d, z])
    out, certificate = projection.residualize(columns)
    out, spanned = spanned_columns(columns, out, lambda left: projection.residualize(left)[0], weights)
    out[:, spanned] = 0.0  # rounding is nothing to learn from
    first = 1 + d.shape[1]
    return AfterEffects(
        np.ascontiguousarray(out[:, 0]),
        np.ascontiguousarray(out[:, 1:first]),
        np.ascontiguousarray(out[:, first:]),
        certificate,
        tuple(int(j) for j in np.flatnonzero(spanned[1:first])),
        tuple(int(j) for j in np.flatnonzero(spanned[first:])),
        bool(spanned[0]),
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
    checkpoint: Checkpoint | None = None,
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
        A scikit-learn regressor or pipeline, or several by name
        (:func:`~gifepanel.projections.learners.read_learners`). They are cloned; random states left open are set from
        `random_state`, per repeat, fold and column. Classifiers predict the probability of a treatment of 0 and 1.
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
    n_jobs, progress, checkpoint
        See :func:`gifepanel.parallel.run_tasks`; a checkpoint is of these data and learners.

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
    data = NuisanceData.read(y, d, z, weights, (outcome_name, treatment_names, feature_names), treatments)
    learners = read_learners(learner, outcome_name, data.treatment_names, structural=score == "IV-type")
    ways = _ways(groups)
    seeds = spawn_seeds(random_state, 2)
    n = data.y.size
    division = (
        draw_folds(n, n_folds=n_folds, n_repeats=n_repeats, groups=ways, random_state=seeds[0])
        if folds is None
        else read_folds(folds, n, groups=ways)
    )
    observed = np.column_stack([data.d, data.z])
    if as_observed is not None:
        if np.shape(as_observed) != observed.shape:
            raise DataError(
                f"as_observed has shape {np.shape(as_observed)}.",
                f"Treatments and features side by side are needed, {observed.shape}.",
                "np.column_stack([d, z])",
            )
        observed = np.asarray(as_observed)
    check_folds(division, observed, (*data.treatment_names, *data.feature_names), groups=ways, unseen=unseen)
    data.probe(learners, division[0])

    runner = partial(run_tasks, n_jobs=n_jobs, progress=progress, description="cross-fitting", checkpoint=checkpoint)
    functions = data.first_stage(learners)
    predictions = _predict(data, functions, division, seeds[1], 0, runner)
    outcome_hat, treatment_hat = np.split(predictions, [data.n_outcomes], axis=2)
    _check_left(data, treatment_hat)
    preliminary = structural_hat = None
    if score == "IV-type":
        preliminary = np.stack([_preliminary(data, *hats) for hats in zip(outcome_hat, treatment_hat, strict=True)])
        second = data.second_stage(learners, preliminary)
        structural_hat = _predict(data, second, division, seeds[1], 1, runner)
        functions, predictions = [*functions, *second], np.concatenate([predictions, structural_hat], axis=2)
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
        _quality(functions, predictions, data.weights),
    )


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


def _predict(
    data: NuisanceData,
    functions: Sequence[Nuisance],
    folds: Sequence[Folds],
    seed: np.random.SeedSequence,
    stage: int,
    runner: Any,
) -> Array:
    """Out-of-fold predictions (R, n, functions), one task per repeat, fold and function."""
    keys = [
        (r, k, j)
        for r, division in enumerate(folds)
        for k in np.unique(division.labels).tolist()  # two ways of grouping can leave folds empty
        for j in range(len(functions))
    ]
    tasks = []
    for r, k, j in keys:
        own = functions[j]
        stream = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, r, k, stage, j))
        what = f"{own.name} (repeat {r + 1}, fold {k + 1})"
        tasks.append((own.features, own.target(r), data.weights, folds[r], k, own.learner, stream, what))
    out = np.full((len(folds), data.y.size, len(functions)), np.nan)
    divided = [fingerprint(division)[:12] for division in folds]
    names = [f"stage-{stage}-repeat-{r}-fold-{k}-function-{j}-{divided[r]}" for r, k, j in keys]
    for (r, k, j), values in zip(keys, runner(predict_fold, tasks, keys=names), strict=True):
        out[r, folds[r].test(k), j] = values
    return out


def _check_left(data: NuisanceData, treatment_hat: Array) -> None:
    """Raise where a learner leaves nothing of a treatment."""
    left = np.linalg.norm(data.d - treatment_hat, axis=1).min(axis=0)
    for name, size, before in zip(data.treatment_names, left, np.linalg.norm(data.d, axis=0), strict=True):
        if size <= _SPANNED * before:
            raise DataError(
                f"Nothing is left of {name}: its learner predicts it perfectly.",
                "A treatment must vary beyond what the features say.",
                f"Leave {name} out, or take the feature that determines it out of the controls.",
            )


def _preliminary(data: NuisanceData, outcome_hat: Array, treatment_hat: Array) -> Array:
    """theta_0 of the partialling-out score (p,)."""
    u, v = data.y[:, None] - outcome_hat, data.d - treatment_hat
    weighted = v if data.weights is None else v * data.weights[:, None]
    if data.separate or v.shape[1] == 1:
        # means, column by column: the last bits decide between equal splits of a tree
        over, under = (np.ascontiguousarray((weighted * other).T).mean(axis=1) for other in (u, v))
        return np.asarray(over / under)
    root = np.ones((len(v), 1)) if data.weights is None else np.sqrt(data.weights)[:, None]
    columns = v * root
    length = np.linalg.norm(columns, axis=0)
    length[length == 0] = 1.0
    return np.asarray(np.linalg.lstsq(columns / length, (u * root)[:, 0], rcond=None)[0] / length)


def _quality(functions: Sequence[Nuisance], predictions: Array, weights: Array | None) -> NuisanceQuality:
    repeats = predictions.shape[0]
    r2, rmse = np.empty((2, repeats, len(functions)))
    for r in range(repeats):
        for j, own in enumerate(functions):
            target = own.target(r)
            square = np.average((target - predictions[r, :, j]) ** 2, weights=weights)
            total = np.average((target - np.average(target, weights=weights)) ** 2, weights=weights)
            r2[r, j] = 1.0 - square / total if total > 0 else np.nan
            rmse[r, j] = np.sqrt(square)
    return NuisanceQuality(
        tuple(own.name for own in functions), r2, rmse, tuple(describe(own.learner) for own in functions)
    )
