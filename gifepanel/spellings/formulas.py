"""Formulas of other packages as formulas of ours."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gifepanel.spellings.tables import COMMANDS, EFFECTS, EXAMPLES, FUNCTIONS, OPERATORS, STEPWISE

__all__ = ["Translation", "formula_in_our_words", "meaning_of", "quoted", "with_effects"]

_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`"
_NAME = r"(?:[^\W\d]\w*|`[^`]+`)"


@dataclass(frozen=True)
class Translation:
    """What a formula of another package is here.

    Attributes
    ----------
    formulas : tuple of str
        Several where one formula stood for several models.
    instruments : (str, str, str, str) or None
        Outcome, regressors with effects, instrumented regressors, instruments: not a model of ours.
    clusters : tuple of str
        Fourth part of a formula of lfe.
    """

    formulas: tuple[str, ...]
    instruments: tuple[str, str, str, str] | None = None
    clusters: tuple[str, ...] = ()


def meaning_of(name: str) -> str | None:
    """What a word of other packages is here; None for any other name."""
    if name in EFFECTS:
        return f"effects are absorbed by name: y ~ x | {'firm' if EFFECTS[name] == 'entity' else 'year'}"
    return EXAMPLES.get(FUNCTIONS.get(name, ""))


def quoted(name: str) -> str:
    """The name of a column as an absorbed effect: in backticks where it has other signs than letters."""
    return name if re.fullmatch(r"[^\W\d][\w.]*", name) else f"`{name}`"


def with_effects(formula: str, effects: Iterable[str]) -> str:
    """The formula with further absorbed effects."""
    before = [part.strip() for part in _split(_split(formula, "|")[1], "+")] if len(_split(formula, "|")) > 1 else []
    before = [part for part in before if part not in ("0", "1", "")]
    named = [*before, *(effect for effect in effects if effect not in before)]
    left = _split(formula, "|")[0].strip()
    return f"{left} | {' + '.join(named)}" if named else left


def formula_in_our_words(
    formula: str,
    entity: str | None = None,
    time: str | None = None,
    columns: Iterable[str] = (),
    taken: Iterable[str] = (),
) -> Translation | None:
    """A formula of fixest, pyfixest, linearmodels or Stata in our words; None where it has none of theirs.

    Parameters
    ----------
    formula : str
    entity, time : str, optional
        Names of who and when, for EntityEffects and TimeEffects.
    columns : iterable of str
        Names that are columns of the data, whatever they look like.
    taken : iterable of str
        Functions of the caller's own.
    """
    try:
        text = _with_tilde(formula)
        text = _operators(_offsets(text), frozenset(columns))
        text = _functions(text, [name for name in FUNCTIONS if name not in taken])
        text = _effect_words(text, entity, time)
        found = _instruments(text)
        if found is not None:
            return found
        parts = [part.strip() for part in _split(text, "|")]
        clusters: tuple[str, ...] = ()
        if len(parts) in (3, 4) and parts[2] == "0":
            clusters = tuple(term.strip() for term in _split(parts[3], "+")) if len(parts) == 4 else ()
            clusters = () if clusters == ("0",) else clusters
            text = " | ".join(part for part in parts[:2] if part != "0")
        texts = _stepwise(text)
    except ValueError:
        return None
    if [_bare(one) for one in texts] == [_bare(formula)]:
        return None
    return Translation(tuple(texts), clusters=clusters)


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Change what stands outside of quotes and backticks."""
    return "".join(part if k % 2 else change(part) for k, part in enumerate(re.split(f"({_QUOTED})", text)))


def _split(text: str, separators: str) -> list[str]:
    """Pieces between separators outside of brackets and quotes."""
    pieces, depth, start = [], 0, 0
    for i, char in _plain(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and char in separators:
            pieces.append(text[start:i])
            start = i + 1
    return [*pieces, text[start:]]


def _plain(text: str) -> Iterator[tuple[int, str]]:
    """Characters outside of quotes."""
    quotes = [match.span() for match in re.finditer(_QUOTED, text)]
    for i, char in enumerate(text):
        if not any(start <= i < stop for start, stop in quotes):
            yield i, char


def _calls(text: str, names: Iterable[str]) -> Iterator[tuple[int, int, str, list[str]]]:
    """Calls of functions as (start, stop, name, arguments), innermost ones last."""
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for match in re.finditer(rf"(?<![\w.])({pattern})\(", text):
        depth = 0
        for i, char in _plain(text):
            if i < match.end() - 1:
                continue
            depth += (char in "([{") - (char in ")]}")
            if depth == 0:
                inside = text[match.end() : i]
                yield match.start(), i + 1, match.group(1), [part.strip() for part in _split(inside, ",")]
                break


# ---- instruments


def _instruments(formula: str) -> Translation | None:
    """``y ~ w | firm | x ~ z``, ``y ~ w | x ~ z``, ``y ~ w + [x ~ z]``, ``y w (x = z)``."""
    sides = _split(formula, "~")
    bracket = re.search(r"(?<![\w.])[\[(]([^\[\]()~=<>!]+)[~=]([^\[\]()~=]+)[\])]", formula)
    effects = ""
    if len(sides) == 3:
        outcome, middle, instruments = sides
        parts = _split(middle, "|")
        if len(parts) < 2:
            return None
        endogenous, exogenous, effects = parts[-1], parts[0], " + ".join(parts[1:-1])
    elif len(sides) == 2 and bracket:
        outcome, right = sides
        endogenous, instruments = bracket.groups()
        pieces = _split(right.replace(bracket.group(0), "0"), "|")
        exogenous, effects = pieces[0], "".join(pieces[1:])
    else:
        return None
    own = [term.strip() for term in exogenous.split("+") if term.strip() not in ("", "0", "1")]
    kept = " + ".join(own) + (f" | {effects.strip()}" if effects.strip() else "")
    return Translation((), (outcome.strip(), kept, endogenous.strip(), instruments.strip()))


# ---- words


def _with_tilde(text: str) -> str:
    """``reghdfe y x z, absorb(firm)``, ``y = x + z``, ``y <- x``."""
    if "~" in text:
        return text
    assigned = re.fullmatch(r"\s*([\w.]+)\s*(?:=|<-)\s*([^=<>]+)", text)
    if assigned:
        return f"{assigned[1]} ~ {assigned[2].strip()}"
    variables, _, options = text.partition(",")
    names = [name for name in variables.split() if name not in COMMANDS]
    if len(names) < 2 or not all(re.fullmatch(r"[\w.#]+", name) for name in names):
        return text
    effects = re.search(r"\b(?:absorb|a)\(([^()]*)\)", options)
    right = " + ".join(names[1:]) + (f" | {' + '.join(effects[1].split())}" if effects else "")
    return f"{names[0]} ~ {right}"


def _offsets(text: str) -> str:
    """``offset(z)`` has a coefficient of one: it goes to the left side."""
    found = re.search(r"\+\s*offset\(\s*([\w.]+)\s*\)|(?<=~)\s*offset\(\s*([\w.]+)\s*\)\s*\+", text)
    left, _, right = text.partition("~")
    if found is None or found.start() < len(left):
        return text
    return f"{left.strip()} - {found[1] or found[2]} ~{right.replace(found[0], '')}"


def _operators(text: str, columns: frozenset[str]) -> str:
    """Stata's ``L2.x``, ``D.x``, ``i.year``, ``ib3.year``, ``c.x#i.year``."""

    def chained(match: re.Match[str]) -> str:
        """``LD.x``, ``L2.D.x``: the operator that stands nearest goes first."""
        if match.group(0) in columns:
            return match.group(0)
        name = match.group(2)
        for letter, number in reversed(re.findall(r"([LFDS])(\d*)", match.group(1))):
            for _ in range(int(number or 1) if letter == "D" else 1):
                steps = int(number or 1) if letter != "D" else 1
                name = f"{OPERATORS[letter]}({name}, {steps})" if steps != 1 else f"{OPERATORS[letter]}({name})"
        return name

    def lagged(match: re.Match[str]) -> str:
        if match.group(0) in columns:
            return match.group(0)
        letter, number, several, name = match.groups()
        function = OPERATORS[letter]
        if several:
            first, _, last = several.partition("/")
            return (
                f"{function}({name}, {first}:{last})" if last else f"{function}({name}, [{first.replace(' ', ', ')}])"
            )
        steps = int(number or 1)
        if letter in "Dd" and steps > 1:
            return "D(" * steps + name + ")" * steps
        return f"{function}({name}, {steps})" if steps != 1 else f"{function}({name})"

    def level(match: re.Match[str]) -> str:
        return match[0] if match[0] in columns or match[2] not in columns else f"{{{match[2]} == {match[1]}}}"

    def change(part: str) -> str:
        part = re.sub(rf"(?<![\w.])((?:[LFDS]\d*\.?){{2,}})(?<=\.)({_NAME})", chained, part)
        part = re.sub(rf"(?<![\w.])([LFDSlfd])(\d*)(?:\(([\d/ ]+)\))?\.({_NAME})", lagged, part)
        right = part.rfind("|") if "|" in part else len(part)
        slopes = re.sub(rf"(?<![\w.])(?:i\.)?({_NAME})##c\.({_NAME})", r"\1[\2]", part[right:])
        part = part[:right] + re.sub(rf"(?<![\w.])(?:i\.)?({_NAME})#c\.({_NAME})", r"\1[[\2]]", slopes)
        part = re.sub(rf"(?<![\w.])ibn\.({_NAME})", r"C(\1)", part)
        part = re.sub(rf"(?<![\w.])(\d+)\.({_NAME})", level, part)
        part = re.sub(rf"(?<![\w.])c\.({_NAME})", lambda m: m[0] if m[0] in columns else m[1], part)
        part = re.sub(rf"(?<![\w.])ib(\d+)\.({_NAME})", r"C(\2, contr.treatment(base=\1))", part)
        part = re.sub(rf"(?<![\w.])i\.({_NAME})", lambda m: m[0] if m[0] in columns else f"C({m[1]})", part)
        right = part.rfind("|") if "|" in part else len(part)
        before, after = part[:right], part[right:]
        after = re.sub(r"##|#|(?<=\w)\s*\*\s*(?=\w)", "^", after)
        return before.replace("##", "*").replace("#", ":") + after

    return _outside(text, change)


def _functions(text: str, names: list[str]) -> str:
    """``l(x, 1)``, ``i(year, ref=2000)``, ``factor(year)``."""
    text = re.sub(r"relevel\((?:as\.)?factor\(([\w.]+)\),\s*(?:ref\s*=\s*)?([^()]+)\)", r"factor(\1, ref=\2)", text)
    text = re.sub(
        r"(?<![\w.])C\(([\w.]+),\s*ref(?:erence)?\s*=\s*([^()=,]+)\)", r"C(\1, contr.treatment(base=\2))", text
    )
    for _ in range(50):
        call = next(_calls(text, names), None) if names else None
        if call is None:
            return text
        start, stop, name, arguments = call
        text = text[:start] + _call(name, arguments) + text[stop:]
    return text


def _call(name: str, arguments: list[str]) -> str:
    function = FUNCTIONS[name]
    if function != "C":
        plain = [re.sub(r"^\s*(lag|lead|k|diff)\s*=\s*", "", one) for one in arguments]
        return f"{function}({', '.join(plain)})"
    positional = [one for one in arguments if not re.match(r"\w+\s*=[^=]", one)]
    options = (one.partition("=") for one in arguments if one not in positional)
    named = {key.strip(): value.strip() for key, _, value in options}
    if set(named) - {"ref", "ref2", "var", "reference"} or len(positional) > 3:
        raise ValueError("bin=, keep= and their like have no counterpart")
    base = named.get("ref") or named.get("reference") or (positional[2] if len(positional) == 3 else None)
    several = re.fullmatch(r"c\((.+)\)|[\[(](.+),(.*)[\])]", base) if base else None
    levels = f"C({positional[0]}, contr.treatment(base={base}))" if base else f"C({positional[0]})"
    if several:  # all of them are the reference: as one level
        first, *others = [one.strip() for one in _split(re.sub(r"^c?[\[(]|[\])]$", "", base or ""), ",")]
        one_level = f"{positional[0]}.replace([{', '.join(others)}], {first})"
        levels = f"C({one_level}, contr.treatment(base={first}))" if others else f"C({positional[0]})"
    other = named.get("var") or (positional[1] if len(positional) > 1 else None)
    if other is None:
        return levels
    other = re.sub(r"^c\.", "", other)
    second = named.get("ref2")
    if second:
        other = f"C({other}, contr.treatment(base={second}))"
    return f"{levels}:{other}"


def _effect_words(text: str, entity: str | None, time: str | None) -> str:
    """``+ EntityEffects + TimeEffects``."""
    found = [word for word in EFFECTS if re.search(rf"(?<![\w.]){word}\b", text)]
    if not found:
        return text
    if any(re.search(rf"[:*]\s*{word}\b|\b{word}\s*[:*]", text) for word in found):
        raise ValueError("slopes by entity have no one counterpart")
    for word in found:
        pattern = rf"\s*\+\s*{word}\b|(?<![\w.]){word}\s*\+\s*|(?<=~)\s*{word}\b"
        text = re.sub(pattern, lambda m: "" if "+" in m[0] else " 1", text)
    own = {"entity": quoted(entity or "firm"), "time": quoted(time or "year")}
    return with_effects(text, [own[EFFECTS[word]] for word in found])


def _stepwise(text: str) -> list[str]:
    """Formulas that ``sw``, ``csw`` and outcomes in ``c()`` stand for."""
    left, _, right = text.partition("~")
    outcomes = re.fullmatch(r"\s*(?:c|cbind)\((.*)\)\s*", left, flags=re.DOTALL)
    lefts = [part.strip() for part in _split(outcomes.group(1), ",")] if outcomes else [left.strip()]
    texts = [right]
    for _ in range(20):
        call = next(_calls(texts[0], STEPWISE), None)
        if call is None:
            break
        found = []
        for one in texts:
            start, stop, name, arguments = next(_calls(one, STEPWISE))
            found += [_tidy(one[:start] + chosen + one[stop:]) for chosen in _choices(name, arguments)]
        texts = found
    return [f"{outcome} ~ {one.strip()}" for outcome in lefts for one in texts]


def _choices(name: str, terms: list[str]) -> list[str]:
    """What the function stands for, one after the other; "0" is nothing."""
    if name in ("sw", "sw0"):
        steps = [[term] for term in terms]
    elif name in ("csw", "csw0"):
        steps = [terms[: k + 1] for k in range(len(terms))]
    else:
        steps = [list(some) for k in range(1, len(terms) + 1) for some in itertools.combinations(terms, k)]
    none = [["0"]] if name.endswith("0") or name == "mvsw" else []
    return [" + ".join(step) for step in [*none, *steps]]


def _tidy(right: str) -> str:
    """Without the zeros that stand for nothing: ``x + 0`` is ``x``, ``| 0`` is no effect."""
    parts = _split(right, "|")
    out = []
    for k, part in enumerate(parts):
        terms = [term.strip() for term in _split(part, "+")]
        kept = [term for j, term in enumerate(terms) if term != "0" or (k == 0 and j == 0 and len(terms) > 1)]
        out.append(" + ".join(kept) or ("1" if k == 0 else ""))
    return " | ".join(part for part in out if part)
