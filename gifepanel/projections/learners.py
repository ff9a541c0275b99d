"""Learners of nuisance functions: which one for which column, checked before the work, and one fold's predictions."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gifepanel.exceptions import SpecificationError, SpecificationWarning, caller_level
from gifepanel.projections.folds import Folds

__all__ = ["Learners", "predict_fold", "probe", "read_learners", "seeded", "weight_keyword"]

Array = npt.NDArray[np.float64]

_FIX = 'learner={"outcome": RandomForestRegressor(), "treatment": LassoCV()}'
_ROLES = ("outcome", "treatment", "structural")
_DOUBLEML = {"ml_l": "outcome", "ml_m": "treatment", "ml_g": "structural"}
_PROBE_ROWS = 64


@dataclass(frozen=True, eq=False)
class Learners:
    """A learner for every nuisance function.

    Attributes
    ----------
    outcome : estimator
        Of E[y | Z].
    treatments : tuple of estimator
        Of E[d_j | Z].
    structural : estimator
        Of g(Z) = E[y - d theta | Z], for IV-type scores.
    """

    outcome: Any
    treatments: tuple[Any, ...]
    structural: Any


def read_learners(learner: Any, outcome: str, treatments: Sequence[str], *, structural: bool = False) -> Learners:
    """Learners by name.

    Parameters
    ----------
    learner : estimator or dict
        One for all, or by the name of the column or its role: ``"outcome"``, ``"treatment"``, and ``"structural"`` for
        g of the IV-type score (the outcome's unless given). A column's name goes before its role.
    outcome : str
    treatments : sequence of str
    structural : bool
        Whether a learner of g is used.

    Raises
    ------
    SpecificationError
        For names that belong to no column, columns without learner, and things that are no regressors.
    """
    roles = _ROLES if structural else _ROLES[:2]
    if not isinstance(learner, Mapping):
        learner = {"outcome": learner, "treatment": learner}
    known = list(dict.fromkeys((outcome, *treatments, *roles)))
    for name, own in learner.items():
        if name not in known:
            raise _unknown(name, known)
        _check_learner(own, str(name))
    found = [_of(learner, outcome, "outcome"), *(_of(learner, name, "treatment") for name in treatments)]
    return Learners(found[0], tuple(found[1:]), learner.get("structural", found[0]))


def _of(learners: Mapping[Any, Any], name: str, role: str) -> Any:
    for key in (name, role):
        if key in learners:
            return learners[key]
    raise SpecificationError(
        f"No learner for {name}: there are some for {', '.join(map(repr, learners)) or 'nothing'}.",
        "The outcome and every treatment need one.",
        f'"{role}": LassoCV() for all, or "{name}": LassoCV().',
    )


def _unknown(name: Any, known: Sequence[str]) -> SpecificationError:
    lower = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(str(name).casefold(), lower, n=1, cutoff=0.5)
    meant = _DOUBLEML.get(name) if _DOUBLEML.get(name) in known else lower[near[0]] if near else None
    structural = name in ("structural", "ml_g")
    return SpecificationError(
        f"learner has a key {name!r}, which is neither a column of the model nor a role.",
        f"It can have {', '.join(known)}.",
        f"Did you mean {meant!r}?" if meant else 'It goes with score="IV-type".' if structural else _FIX,
    )


def _check_learner(learner: Any, name: str) -> None:
    if isinstance(learner, type):
        found, fix = f"The learner of {name} is a class, {learner.__name__}.", f"{learner.__name__}()"
    else:
        missing = [part for part in ("fit", "predict", "get_params") if not callable(getattr(learner, part, None))]
        if not missing:
            return
        found, fix = f"The learner of {name}, {describe(learner)}, has no {' and no '.join(missing)}.", _FIX
    raise SpecificationError(found, "A scikit-learn regressor or a pipeline that ends with one is needed.", fix)


def describe(learner: Any) -> str:
    """One short line."""
    text = " ".join(repr(learner).split())
    return text if len(text) <= 80 else text[:77] + "..."


# ---- clones, seeds, weights


def seeded(learner: Any, seed: np.random.SeedSequence) -> Any:
    """A clone whose random states, where they were left open, come from the seed; splitters within as well."""
    from sklearn.base import clone

    own = clone(learner)
    params = own.get_params(deep=True)
    open_states = sorted(k for k, v in params.items() if k.split("__")[-1] == "random_state" and v is None)
    splitters = sorted(
        k for k, v in params.items() if hasattr(v, "split") and getattr(v, "random_state", 0) is None and v is not None
    )
    # 31 bits: some libraries read a signed integer
    states = [int(s) >> 1 for s in seed.generate_state(len(open_states) + len(splitters))]
    if open_states:
        own.set_params(**dict(zip(open_states, states, strict=False)))
    for key, state in zip(splitters, states[len(open_states) :], strict=True):
        params[key].random_state = state  # the clone's own copy
    return own


def weight_keyword(learner: Any) -> str | None:
    """The keyword of `fit` that takes weights of rows, through pipelines and searches; None if there is none."""
    steps = getattr(learner, "steps", None)
    if isinstance(steps, list) and steps:
        name, last = steps[-1]
        inner = weight_keyword(last)
        return None if inner is None else f"{name}__{inner}"
    parameters = inspect.signature(learner.fit).parameters
    if "sample_weight" in parameters:
        return "sample_weight"
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        inner = getattr(learner, "estimator", None) or getattr(learner, "regressor", None)
        return weight_keyword(inner) if inner is not None else None
    return None


def warn_unweighted(learners: Mapping[str, Any]) -> None:
    """Say which learners take no weights."""
    without = [name for name, own in learners.items() if weight_keyword(own) is None]
    if without:
        warnings.warn(
            SpecificationWarning(
                f"The learners of {', '.join(without)} take no weights: they are trained without.",
                "Coefficients and standard errors are weighted.",
                "A learner whose fit has sample_weight.",
            ),
            stacklevel=caller_level(),
        )


# ---- predictions


def predict_fold(
    features: Array,
    target: Array,
    weights: Array | None,
    folds: Folds,
    fold: int,
    learner: Any,
    seed: np.random.SeedSequence,
    what: str,
) -> Array:
    """Train outside of a fold, predict inside.

    Parameters
    ----------
    features : ndarray, shape (n, k)
    target : ndarray, shape (n,)
    weights : ndarray, shape (n,), or None
    folds : Folds
    fold : int
    learner : estimator
    seed : SeedSequence
    what : str
        For messages.

    Returns
    -------
    ndarray, shape (rows of the fold,)
    """
    train, test = folds.train(fold), folds.test(fold)
    return _fit_predict(features, target, weights, train, test, seeded(learner, seed), what)


def _fit_predict(
    features: Array, target: Array, weights: Array | None, train: Any, test: Any, learner: Any, what: str
) -> Array:
    keyword = None if weights is None else weight_keyword(learner)
    extra = {} if keyword is None or weights is None else {keyword: weights[train]}
    binary = _is_classifier(learner)
    known = target[train]
    try:
        learner.fit(features[train], known.astype(np.int64) if binary else known, **extra)
        values = learner.predict_proba(features[test]) if binary else learner.predict(features[test])
    except Exception as error:
        raise SpecificationError(
            f"The learner of {what}, {describe(learner)}, failed: {type(error).__name__}: {error}",
            None,
            "Try it by itself on these columns.",
        ) from error
    values = np.asarray(values)
    if binary and values.shape == (len(test), len(learner.classes_)):
        values = values @ learner.classes_  # the probability of 1, also where training rows know one class only
    return _checked(values, len(test), learner, what)


def _is_classifier(learner: Any) -> bool:
    """scikit-learn's answer; for other estimators with fit and predict, what they say of themselves."""
    from sklearn.base import BaseEstimator, is_classifier

    if isinstance(learner, BaseEstimator):
        return bool(is_classifier(learner))
    return getattr(learner, "_estimator_type", None) == "classifier"


def _checked(values: Any, rows: int, learner: Any, what: str) -> Array:
    found = None
    if values.shape not in ((rows,), (rows, 1)):
        found = f"predicts an array of shape {values.shape} for {rows} rows"
    elif values.dtype.kind not in "fiub":
        found = f"predicts values of type {values.dtype}"
    elif not np.isfinite(values).all():
        found = f"predicts {int((~np.isfinite(values)).sum())} values that are NaN or infinite"
    if found is None:
        return values.reshape(rows).astype(np.float64)
    raise SpecificationError(
        f"The learner of {what}, {describe(learner)}, {found}.", "One finite number for each row is needed.", _FIX
    )


def probe(features: Array, target: Array, weights: Array | None, folds: Folds, learner: Any, name: str) -> None:
    """Try a learner on a few rows, and on a whole fold only if it fails there: it may just need more of them.

    Raises
    ------
    SpecificationError
        If the learner fails, or predicts something else than one finite number a row.
    """
    if _is_classifier(learner) and not np.isin(target, (0.0, 1.0)).all():
        raise SpecificationError(
            f"The learner of {name} is a classifier, {describe(learner)}, and {name} has values other than 0 and 1.",
            "Classifiers predict the probability of a treatment of 0 and 1; after absorbed effects none is left.",
            f'"{name}": a regressor',
        )
    seed = np.random.SeedSequence(0)
    train, test = folds.train(0), folds.test(0)
    few = train[:: max(1, train.size // _PROBE_ROWS)], test[:: max(1, test.size // _PROBE_ROWS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _fit_predict(features, target, weights, *few, seeded(learner, seed), name)
        except SpecificationError:
            _fit_predict(features, target, weights, train, test, seeded(learner, seed), name)
