"""Options in words of other packages: refused with the call that says the same here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gifepanel.exceptions import SpecificationError
from gifepanel.spellings.models import model_in_our_words
from gifepanel.spellings.options import (
    Line,
    Names,
    Source,
    covariance_in_our_words,
    fit_in_our_words,
    keywords,
    written,
)
from gifepanel.spellings.tables import COVARIANCE_OPTIONS

_OF_MODELS = ("weights", "absorb", "entity", "partial", "learner", "missing", "singletons", "n_factors", "n_groups",
              "common", "predetermined")  # fmt: skip

__all__ = [
    "names_of_data",
    "names_of_model",
    "options_given",
    "refuse_covariance_words",
    "refuse_fit_words",
    "refuse_model_words",
]


def names_of_data(data: Any, entity: Any, time: Any, *, factors: bool, learner: bool = False) -> Names:
    """Who and when, and the columns, as far as a frame tells before it is read."""
    names = getattr(getattr(data, "index", None), "names", ())
    defaults = ("entity", "time") if len(names) == 2 else names
    levels = [str(own or default) for own, default in zip(names, defaults, strict=True) if own or default]
    columns = [str(name) for name in getattr(data, "columns", ())]
    own = levels if len(levels) == 2 else [None, None]
    return Names(
        entity if isinstance(entity, str) else own[0],
        time if isinstance(time, str) else own[1],
        (),
        tuple([*columns, *levels]),
        factors,
        learner,
    )


def names_of_model(model: Any) -> Names:
    """Who and when, effects and columns of a model that is built."""
    design = model.design
    if design is None:  # the data are gone
        return Names(None, None, (), (), not hasattr(model, "panel_index"))
    factors = not hasattr(model, "panel_index")
    index = design.index if factors else model.panel_index(model._entity, model._time, required=False)
    effects = [effect.factors[0] for effect in design.absorbed_effects if len(effect.factors) == 1]
    columns = names_of_data(model._source, None, None, factors=factors).columns
    entity, time = (None, None) if index is None else (index.entity_name, index.time_name)
    learner = getattr(model, "learner", None) is not None
    return Names(entity, time, tuple(effects), columns, factors, learner)


def refuse_model_words(
    name: str,
    unknown: Mapping[str, Any],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    formula: Any = None,
    data: Any = None,
    positional: str = "endog, exog",
    factors: bool = False,
) -> None:
    """Raise for options of others that say how a model is built, with the line that builds and fits it.

    Parameters
    ----------
    name : str
        ``PartialledOLS.from_formula``.
    unknown, given, defaults : mapping
        Options the model does not have; those it has, and their defaults.
    formula, data : optional
        None where the model is built from arrays.
    positional : str
        Source of the positional arguments without a formula.
    factors : bool
    """
    own = options_given(given, defaults)
    if isinstance(data, str) and formula is not None and not isinstance(formula, str):
        raise SpecificationError(
            f"{name} was given data first and the formula {data!r} after them.",
            "The formula comes first.",
            f"{name}({_joined(written(data), 'data', keywords({**own, **unknown}))})",
        )
    text = formula if isinstance(formula, str) else None
    if not unknown or (formula is not None and text is None):
        return
    learner = given.get("learner") is not None
    names = names_of_data(data, given.get("entity"), given.get("time"), factors=factors, learner=learner)
    line = model_in_our_words(text, unknown, own, names)
    if line is None:
        return
    start = f"{written(line.formula)}, {line.data}" if line.formula is not None else positional
    call = f"{_class_of(name, line.options)}({_joined(start, keywords(line.options))})"
    if name.islower() and line.fit:
        line.say("Errors belong to a fit")
    elif line.fit or line.split is not None:
        call += f".fit({keywords(line.fit)})"
    if line.split is not None:
        call = f"{{part: {call} for part, rows in data.groupby({written(line.split)})}}"
    raise _refused(name, unknown, own, line, call)


def refuse_fit_words(
    model: Any, unknown: Mapping[str, Any], arguments: Mapping[str, Any], defaults: Mapping[str, Any]
) -> None:
    """Raise for options of others that ``fit`` was given, with its call in our words."""
    if not unknown:
        return
    own = options_given(arguments, defaults)
    built = {key: value for key, value in unknown.items() if key in _OF_MODELS}
    call = getattr(model, "_call", None)
    if built and call is not None:
        before = {key: Source(text) for key, text in call.options if key not in built}
        rest = {key: value for key, value in unknown.items() if key not in built}
        again = _class_of(call.function, built)
        fix = f"{again}({_joined(*call.arguments, keywords({**before, **built}))}).fit({keywords({**own, **rest})})"
        raise SpecificationError(
            f"fit got {', '.join(built)}.",
            f"{'That is an option' if len(built) == 1 else 'These are options'} of the model.",
            fix,
        )
    line = fit_in_our_words(unknown, own, names_of_model(model))
    unread = [] if line is None else [name for name in COVARIANCE_OPTIONS if name in line.fit]
    if unread:
        raise SpecificationError(
            f"fit got {unread[0]}, a {type(unknown[unread[0]]).__name__}.",
            "A covariance is named here, and its clusters with it.",
            'cov_type="HC1", or cov_type="cluster", cov_kwds={"groups": "firm"}',
        )
    if line is not None:
        raise _refused("fit", unknown, own, line, f"fit({keywords(line.fit)})")


def refuse_covariance_words(
    model: Any, cov_type: Any, cov_kwds: Any, known: Iterable[str], *, call: str = "fit", keys: Iterable[str] = ()
) -> None:
    """Raise for names of covariances and of their options that are those of others."""
    names = names_of_model(model)
    line = covariance_in_our_words(cov_type, cov_kwds, names, known, keys=keys)
    if line is None:
        return
    kind, kwds = line.fit.get("cov_type", cov_type), line.fit.get("cov_kwds", {})
    rest = {key: value for key, value in line.fit.items() if key not in ("cov_type", "cov_kwds")}
    if call == "get_robustcov_results":
        fix = f"{call}({_joined(written(kind), keywords({**kwds, **rest}))})"
    elif set(line.fit) == {"cov_type"} and not cov_kwds:
        fix = f"cov_type={kind!r}"
    else:
        fix = f"fit({keywords({'cov_type': kind, **({'cov_kwds': kwds} if kwds else {}), **rest})})"
    foreign = list(cov_kwds or ()) if isinstance(cov_kwds, Mapping) else []
    found = f"cov_type is {written(cov_type)}" + (f" with {', '.join(map(repr, foreign))}" if foreign else "")
    found += ", and the model has a learner" if names.learner else ""
    raise SpecificationError(f"{found}.", _needed(line, f"It knows {', '.join(known)}."), fix)


def _class_of(name: str, options: Mapping[str, Any]) -> str:
    """The function that builds a model with these options: numbers of groups and factors ask for another class."""
    if name.islower():  # select
        return name
    wanted = "GroupedIFE" if "n_groups" in options else "InteractiveFE" if "n_factors" in options else None
    if wanted is None or name.startswith("GroupedIFE"):
        return name
    return ".".join([wanted, *name.split(".")[1:]])


def options_given(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not at their defaults."""
    return {name: value for name, value in options.items() if not _same(value, defaults.get(name))}


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    simple = isinstance(value, (str, int, float, tuple, bool))
    return simple and type(value) is type(default) and bool(value == default)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _needed(line: Line, otherwise: str) -> str:
    return ". ".join(line.notes) if line.notes else otherwise


def _refused(
    name: str, unknown: Mapping[str, Any], own: Mapping[str, Any], line: Line, call: str
) -> SpecificationError:
    words = ", ".join(f"{key}={written(value, key)}" for key, value in unknown.items())
    return SpecificationError(
        f"{name} got {words}.",
        _needed(line, "That is how another package says it."),
        call,
    )
