"""A model in words of other packages as the call of ours that builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gifepanel.spellings.formulas import formula_in_our_words, quoted, with_effects
from gifepanel.spellings.options import Line, Names, fit_in_our_words, names_in, one_or_list, spelled, written
from gifepanel.spellings.tables import (
    ADOPTIONS,
    CONTROLS,
    EFFECT_OPTIONS,
    EFFECT_WORDS,
    ESTIMATORS,
    FACTORS,
    FIT_WORDS,
    GROUPS,
    MODEL_WORDS,
    OWN_FIT,
    SINGLETONS,
    TREATMENTS,
    WEIGHTS,
)

__all__ = ["model_in_our_words"]


def model_in_our_words(
    formula: str | None, unknown: Mapping[str, Any], given: Mapping[str, Any], names: Names
) -> Line | None:
    """The call that builds the model that options of others ask for; None where none is known to belong elsewhere.

    Parameters
    ----------
    formula : str or None
        None where the model is built from arrays or frames.
    unknown : mapping
        Options that the model does not have.
    given : mapping
        Those it has, without defaults.
    names : Names
    """
    if not any(name in (*MODEL_WORDS, *FIT_WORDS, *OWN_FIT) for name in unknown):
        return None
    line = Line(options=dict(given), formula=formula)
    index = unknown.get("index", unknown.get("panel_id", unknown.get("panel.id")))
    if isinstance(index, str):
        index = names_in(index.lstrip("~ "))
    entity = unknown.get("id", unknown.get("unit", unknown.get("i")))
    if isinstance(index, (list, tuple)) and len(index) == 2:
        line.options |= {"entity": index[0], "time": index[1]}
    elif isinstance(index, (list, tuple)) and len(index) == 1:
        line.options["entity"] = index[0]
    elif isinstance(entity, str):
        line.options |= {"entity": entity} | ({"time": unknown["t"]} if isinstance(unknown.get("t"), str) else {})
    own = Names(
        line.options.get("entity") if isinstance(line.options.get("entity"), str) else names.entity,
        line.options.get("time") if isinstance(line.options.get("time"), str) else names.time,
        names.effects,
        names.columns,
        names.factors,
        names.learner,
    )
    if "entity" in line.options and "time" not in line.options and "entity" not in given:
        line.options.pop("entity")  # one does not go without the other
    effects: list[str] = []
    for_fit: dict[str, Any] = {}
    for name, value in unknown.items():
        if name in EFFECT_OPTIONS:
            effects += [effect for effect in _effects(name, value, own) if effect not in effects]
        elif name in ("index", "panel_id", "panel.id", "id", "unit", "i", "t"):
            continue
        elif name in (*FACTORS, "n_factors"):
            line.options["n_factors"] = _range(value, line)
        elif name in (*GROUPS, "n_groups"):
            line.options["n_groups"] = _range(value, line)
        elif name == "CV":
            line.options |= (
                {"n_factors": "auto"} if value and not isinstance(line.options.get("n_factors"), range) else {}
            )
        elif name in SINGLETONS:
            drop = value in ("singleton", "singletons", "perfect", "perfect_fit", "both") or value is True
            line.options["singletons"] = "drop" if drop is (name != "keepsingletons") else "keep"
        elif name == "subset":
            line.data = _subset(value)
        elif name == "weights_type":
            _weights(value, line)
        elif name in WEIGHTS:
            line.options["weights"] = value
            _weights(WEIGHTS[name], line)
            if WEIGHTS[name] == "pweights" and not {*FIT_WORDS, "cov_type"} & set(unknown):
                for_fit["cov_type"] = "HC1"  # Stata's probability weights come with robust errors
        elif name == "offset" and formula is not None and isinstance(value, str):
            left, _, right = formula.partition("~")
            line.formula = f"{left.strip()} - {value} ~{right}"
            line.say("What has a coefficient of one is taken from the outcome")
        elif name in CONTROLS and formula is not None:
            line.options["partial"] = " + ".join(_effects("fe", value, own))
        elif name in TREATMENTS and formula is not None and own.factors:
            line.options["treated"] = value
            line.say("Effects are those of res.counterfactual()")
        elif name in ADOPTIONS and formula is not None and own.factors and isinstance(value, str):
            line.options["treated"] = f"({value} > 0) & ({own.time or 'year'} >= {value})"
            line.say("Effects are those of res.counterfactual()")
        elif name == "model":
            effects += [effect for effect in _of_estimator(value, unknown, own, line) if effect not in effects]
        elif name in ("split", "fsplit"):
            line.say("A model for each part of the data")
            line.data, line.split = "rows", str(value)
        elif name in FIT_WORDS or name in OWN_FIT:
            for_fit[name] = value
        else:
            line.options[name] = value
    if for_fit:
        known = {key: value for key, value in for_fit.items() if key in OWN_FIT}
        foreign = {key: value for key, value in for_fit.items() if key not in OWN_FIT}
        all_effects = Names(own.entity, own.time, (*own.effects, *effects), own.columns, own.factors, own.learner)
        converted = fit_in_our_words(foreign, known, all_effects)
        line.fit = known if converted is None else converted.fit
        for note in converted.notes if converted else ():
            line.say(note)
    if effects and line.formula is not None:
        line.formula = with_effects(line.formula, effects)
    elif effects:
        before = line.options.get("absorb") or []
        before = [before] if isinstance(before, str) else list(before)
        line.options["absorb"] = one_or_list([*before, *(e for e in effects if e not in before)])
    if line.formula is not None:
        changed = formula_in_our_words(line.formula, own.entity, own.time, own.columns)
        line.formula = changed.formulas[0] if changed and len(changed.formulas) == 1 else line.formula
    return line


def _effects(name: str, value: Any, names: Names) -> list[str]:
    """Effects that an option asks for."""
    entity, time = quoted(names.entity or "firm"), quoted(names.time or "year")
    if isinstance(value, str) and value in names.columns:
        return [quoted(value)]
    if name in ("entity_effects", "time_effects", "twfe"):
        own = {"entity_effects": [entity], "time_effects": [time], "twfe": [entity, time]}[name]
        return own if value else []
    if name in ("effect", "effects", "force") and isinstance(value, str) and spelled(value) in EFFECT_WORDS:
        return [{"e": entity, "t": time}[one] for one in EFFECT_WORDS[spelled(value)]]
    if value is None or value is False:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.lstrip("~ ").split("+") if part.strip() not in ("", "0")]
    if hasattr(value, "columns"):
        return [quoted(str(column)) for column in value.columns]
    label = getattr(value, "name", None)
    if isinstance(label, str):
        return [quoted(label)]
    several = [str(one) for one in value] if isinstance(value, Sequence) else [str(value)]
    return [quoted(one) if one in names.columns else one for one in several]


def _of_estimator(value: Any, unknown: Mapping[str, Any], own: Names, line: Line) -> list[str]:
    """Effects that plm's ``model=`` asks for: within is its default way, by entity."""
    word = spelled(value) if isinstance(value, str) else ""
    if word not in ESTIMATORS or {"effect", "effects"} & set(unknown):
        return []
    line.say(ESTIMATORS[word])
    return [quoted(own.entity or "firm")] if word != "pooling" else []


def _range(value: Any, line: Line) -> Any:
    """fect's ``r = c(0, 5)`` is a range; here a list has candidates."""
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(type(one) is int for one in value)
    if pair and value[0] < value[1]:
        line.say("A list holds candidates here, a range all numbers from its first to its last")
        return range(value[0], value[1] + 1)
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def _subset(value: Any) -> str:
    """The rows of `data` that ``subset=`` asks for."""
    if isinstance(value, str):
        return f"data.query({written(value.lstrip('~ '))})"
    return "data.loc[subset]"


def _weights(value: Any, line: Line) -> None:
    """pyfixest's kinds of weights."""
    weights = line.options.get("weights")
    if isinstance(value, str) and value.casefold().startswith("f") and weights is not None:
        line.options.pop("weights")
        times = f"data[{written(weights)}]" if isinstance(weights, str) else "weights"
        line.data = f"data.iloc[np.repeat(np.arange(len(data)), {times})]"
        line.say("Weights are analytic here; frequencies are rows repeated")
    else:
        line.say("Weights are analytic here, as aweights")
