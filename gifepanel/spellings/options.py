"""Options of other packages as a call of ours that keeps the whole request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gifepanel.spellings.tables import (
    BOOTSTRAPS,
    COVARIANCE_OPTIONS,
    COVARIANCES,
    FIT_WORDS,
    KEYWORD_DICTS,
    KEYWORDS,
    NEAREST,
    NEEDLESS,
    RENAMED,
    SMALL_SAMPLE,
    TOLERANCES,
    WAYS,
    WITH_FACTORS,
    WITH_LEARNER,
    WORKERS,
)

__all__ = [
    "Line",
    "Names",
    "Source",
    "covariance_in_our_words",
    "fit_in_our_words",
    "keywords",
    "names_in",
    "one_or_list",
    "spelled",
    "written",
]


@dataclass(frozen=True)
class Names:
    """What the data call their entities and periods, the effects of the model, and all columns.

    Attributes
    ----------
    entity, time : str or None
    effects : tuple of str
    columns : tuple of str
    factors : bool
        Whether the model has factors: it has fewer covariances.
    learner : bool
        Whether it is cross-fitted: it has fewer still.
    """

    entity: str | None = None
    time: str | None = None
    effects: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    factors: bool = False
    learner: bool = False


@dataclass
class Line:
    """A call in our words: keyword arguments, those of its ``fit``, and what to say of the change."""

    options: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    formula: str | None = None
    data: str = "data"
    split: str | None = None

    def say(self, note: str) -> None:
        if note and note not in self.notes:
            self.notes.append(note)


class Source(str):
    """Text that stands in a line as it is: a name or an expression, no literal."""

    __slots__ = ()


def written(value: Any, name: str = "value", columns: Iterable[str] = ()) -> str:
    """Source of a value; a Series that is a column by its name, other objects by the name of their option."""
    if isinstance(value, Source):
        return str(value)
    if isinstance(value, str):
        plain = repr(value)
        return f'"{plain[1:-1]}"' if plain.startswith("'") and '"' not in value else plain
    if value is None or isinstance(value, (bool, int, float, range)):
        return repr(value)
    if isinstance(value, (list, tuple)) and len(value) <= 60:
        inner = ", ".join(written(one, name, columns) for one in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, Mapping):
        pairs = (f"{written(key)}: {written(one, str(key), columns)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return repr(value.item())
    return name if name.isidentifier() else "value"


def keywords(options: Mapping[str, Any]) -> str:
    """``a=1, b="x"``."""
    return ", ".join(f"{name}={written(value, name)}" for name, value in options.items())


# ---- covariances


def spelled(text: str) -> str:
    return re.sub(r"[\s._-]", "", text.casefold())


_KIND_OF = {word: kind for kind, words in COVARIANCES.items() for word in words.split()}
_SPELLED = re.compile(
    r"\s*(?:vce\s*\()?\s*([A-Za-z][\w.\s-]*?)?\s*(?:\(\s*(\d+)\s*\))?\s*(~|\s|\()\s*([^()~]+?)\s*\)?\s*"
)


def names_in(text: str) -> list[str]:
    return [part.strip().strip("`") for part in re.split(r"[+,&\s]+(?![^`]*`[^`]*$)", text) if part.strip()]


def one_or_list(ways: Any) -> Any:
    if isinstance(ways, str):
        found = names_in(ways.lstrip("~ "))
        return found[0] if len(found) == 1 else found
    if isinstance(ways, (list, tuple)) and len(ways) == 1:
        return ways[0]
    return list(ways) if isinstance(ways, tuple) else ways


def _as_names(given: Any, names: Names) -> Any:
    """A Series or a frame of columns of the data, by name."""
    if hasattr(given, "columns"):
        ways = [str(name) for name in given.columns]
        return one_or_list(ways) if all(way in names.columns for way in ways) else given
    name = getattr(given, "name", None)
    return name if isinstance(name, str) and name in names.columns else given


def _read_vcov(value: Any, names: Names) -> dict[str, Any] | None:
    """``vcov`` in any spelling as kind, groups, time, maxlags."""
    if isinstance(value, Mapping) and len(value) == 1:
        word, ways = next(iter(value.items()))
        kind = _KIND_OF.get(spelled(str(word)))
        return None if kind is None else {"kind": kind, "groups": one_or_list(_as_names(ways, names))}
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        return {"kind": "cluster", "groups": one_or_list(value)}
    if not isinstance(value, str):
        return None
    if spelled(value) in _KIND_OF:
        return {"kind": _KIND_OF[spelled(value)]}
    if value in names.columns:
        return {"kind": "cluster", "groups": value}
    stata = re.fullmatch(r"\s*(?:vce\s*\()?\s*hac\s+(?:nw\w*|bartlett)\s*(\d*)\s*\)?\s*", value)
    if stata:
        return {"kind": "hac-panel"} | ({"maxlags": int(stata[1])} if stata[1] else {})
    found = _SPELLED.fullmatch(value)
    if found is None:
        bare = re.fullmatch(r"\s*([\w.-]+)\s*\(\s*(\d*)\s*\)\s*", value)
        kind = _KIND_OF.get(spelled(bare.group(1))) if bare else None
        return None if kind is None or bare is None else {"kind": kind} | ({"maxlags": int(bare[2])} if bare[2] else {})
    word, lag, _, rest = found.groups()
    kind = _KIND_OF.get(spelled(word)) if word else "cluster"
    if kind is None:
        return None
    out: dict[str, Any] = {"kind": kind} | ({"maxlags": int(lag)} if lag else {})
    ways = names_in(rest)
    if kind == "driscoll-kraay":
        out["time"] = ways[-1]
    elif kind == "hac-panel":
        out |= {"groups": ways[0]} | ({"time": ways[1]} if len(ways) > 1 else {})
    else:
        out["groups"] = one_or_list(ways)
    return out


def _assembled(want: Mapping[str, Any], names: Names, line: Line) -> dict[str, Any]:
    """cov_type and cov_kwds of what was asked for."""
    kind, kwds = want.get("kind"), {key: want[key] for key in KEYWORDS.values() if key in want}
    many = {"twoway": 2, "threeway": 3, "fourway": 4}.get(str(kind))
    if many:
        known = [*names.effects, *(name for name in (names.entity, names.time) if name and name not in names.effects)]
        kwds.setdefault("groups", known[:many] or ["firm", "year"])
        kind = "cluster"
    if kind is None:
        kind = "cluster" if "groups" in kwds or ("entity" in kwds and "maxlags" not in kwds) else None
    if kind is None and {"maxlags", "kernel"} & set(kwds):
        kind = "hac-panel"
    if isinstance(kind, str) and re.fullmatch("HC[0-3]", kind) and kwds.get("groups") is not None:
        kind = {"HC0": "CR0", "HC1": "cluster", "HC2": "CR2", "HC3": "CR3"}[kind]
        line.say("Robust errors by clusters are those of clusters")
    if kind is None and set(kwds) == {"time"}:
        kind = "driscoll-kraay"
    nearest = (WITH_FACTORS if names.factors else WITH_LEARNER if names.learner else {}).get(str(kind))
    if nearest is not None:
        line.say(
            f"{kind} is not defined with {'estimated factors' if names.factors else 'a learner'}; this is the nearest"
        )
        kind = nearest
    if isinstance(kind, str) and (kind.startswith("CR") or kind == "cluster"):
        if "entity" in kwds:
            kwds.setdefault("groups", kwds.pop("entity"))
        if kwds.get("groups") is None:
            kwds["groups"] = names.entity or (names.effects[0] if names.effects else "firm")
        if names.learner and kwds.get("use_correction") is False:
            kind = "CR0"
        allowed = ("groups",) if names.learner else ("groups", "use_correction", "df_correction")
        kwds = {key: kwds[key] for key in kwds if key in allowed}
    elif kind == "hac-panel":
        if "entity" in kwds:
            kwds.setdefault("groups", kwds.pop("entity"))
        if names.entity is None and "groups" not in kwds:
            kwds["groups"] = "firm"
        if names.time is None and "time" not in kwds:
            kwds["time"] = "year"
        if names.factors:
            kwds = {key: kwds[key] for key in kwds if key not in ("groups", "time")}
    elif kind == "driscoll-kraay":
        kwds = {key: kwds[key] for key in kwds if key not in ("groups", "entity")}
        if names.time is None and "time" not in kwds:
            kwds["time"] = "year"
    if isinstance(kwds.get("kernel"), str):
        kwds["kernel"] = {"newey-west": "bartlett"}.get(kwds["kernel"].casefold(), kwds["kernel"].casefold())
        if kwds["kernel"] not in ("bartlett", "uniform"):
            line.say(f"There is no kernel {kwds['kernel']!r} here; Bartlett's is the nearest")
            kwds["kernel"] = "bartlett"
    if isinstance(kwds.get("maxlags"), float) and kwds["maxlags"] == int(kwds["maxlags"]):
        kwds["maxlags"] = int(kwds["maxlags"])
    return ({"cov_type": kind} if kind else {}) | ({"cov_kwds": kwds} if kwds else {})


def covariance_in_our_words(
    cov_type: Any, cov_kwds: Any, names: Names, known: Iterable[str], *, keys: Iterable[str] = ()
) -> Line | None:
    """The line for a covariance in words of others; None where all words are ours.

    Parameters
    ----------
    cov_type, cov_kwds
        As given to ``fit``.
    names : Names
    known : iterable of str
        Names of covariances that the model knows.
    keys : iterable of str
        Keys of `cov_kwds` that its covariances know.
    """
    ours = {spelled(name) for name in known}
    given = dict(cov_kwds) if isinstance(cov_kwds, Mapping) else {}
    nested = [key for key in ("cov_kwds", *KEYWORD_DICTS) if isinstance(given.get(key), Mapping)]
    for key in nested:
        given |= given.pop(key)
    words = (*KEYWORDS, *WAYS, *SMALL_SAMPLE, *COVARIANCE_OPTIONS)
    foreign = [key for key in given if key in words and (nested or key not in (*keys, "use_t"))]
    strange = isinstance(cov_type, str) and spelled(cov_type) not in ours
    strange = strange or isinstance(cov_type, (dict, list, tuple))
    if cov_type == "nonrobust" and "maxlags" in given and "groups" not in given:
        foreign = [*foreign, *(key for key in ("maxlags", "kernel", "time", "entity") if key in given)]
    if not strange and foreign in ([], ["maxlag"]):  # one letter is missing: the model says so
        return None
    read = _read_vcov(cov_type, names)
    line = Line()
    if read is None and isinstance(cov_type, str) and spelled(cov_type) in NEAREST:
        kind, note = NEAREST[spelled(cov_type)]
        read, before = {"kind": kind}, note
    else:
        before = ""
    if read is None and (strange or not isinstance(cov_type, str)):
        return None
    read = {"kind": cov_type} if read is None else read
    rest = {key: value for key, value in given.items() if key not in foreign}
    if read == {"kind": "nonrobust"} and foreign:
        read = {}  # the default: what the keywords ask for decides
    options = {("cov_type" if key == "kind" else key): value for key, value in read.items()}
    converted = fit_in_our_words({**options, **{key: given[key] for key in foreign}}, {"cov_kwds": rest}, names)
    if converted is None:
        return None
    line.fit, line.notes = converted.fit, [note for note in (before, *converted.notes) if note]
    if not given and set(read) == {"kind"} and line.fit.get("cov_kwds") == {"groups": names.entity}:
        line.fit.pop("cov_kwds")  # entities are what is clustered by where nothing else is said
    return line


# ---- options of fit


def fit_in_our_words(unknown: Mapping[str, Any], given: Mapping[str, Any], names: Names) -> Line | None:
    """The call of ``fit`` that options of others ask for; None where no option is known to belong elsewhere.

    Parameters
    ----------
    unknown : mapping
        Options that ``fit`` does not have.
    given : mapping
        Those it has, without defaults.
    names : Names
    """
    if not any(name in (*FIT_WORDS, "cov_type") for name in unknown):
        return None
    line, ways = Line(), []
    want: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    given = dict(given)
    own_kwds = dict(given.pop("cov_kwds", None) or {})
    for keyword in KEYWORD_DICTS:
        if isinstance(unknown.get(keyword), Mapping):
            unknown = {**{k: v for k, v in unknown.items() if k != keyword}, **unknown[keyword]}
    own_type = given.pop("cov_type", None)
    if own_type is not None:
        want |= _read_vcov(own_type, names) or {"kind": own_type}
    for name, value in unknown.items():
        if name == "cov_type":
            want |= _read_vcov(value, names) or {"kind": value}
            want |= {"kind": own_type} if own_type not in (None, "nonrobust") else {}
        elif name in ("robust", "hetero") and isinstance(value, bool):
            want |= {"kind": want.get("kind") or "HC1"} if value else {}
        elif name == "se" and isinstance(value, bool):
            line.say("Standard errors always come with a fit")
        elif name in COVARIANCE_OPTIONS:
            read = _read_vcov(value, names)
            if isinstance(value, str) and spelled(value) in NEAREST:
                kind, note = NEAREST[spelled(value)]
                read = {"kind": kind}
                line.say(note)
            want |= read or ({"kind": value} if isinstance(value, str) else {})
            rest |= {} if read or isinstance(value, str) else {name: value}
        elif name in WAYS:
            own = names.entity if name == "cluster_entity" else names.time
            ways += [own or ("firm" if name == "cluster_entity" else "year")] if value else []
        elif name in KEYWORDS:
            key = KEYWORDS[name]
            if key == "groups" and isinstance(value, bool):
                want |= {"kind": "cluster"} if value else {}
                continue
            if key == "groups" and value is not None:
                value = _as_names(value, names)
                value = one_or_list(value) if isinstance(value, (str, list, tuple)) else value
                value = Source(name) if not isinstance(value, (str, list, tuple)) else value
                if isinstance(value, list) and not all(isinstance(one, str) for one in value):
                    value = Source(name)
            if value is not None:
                want[key] = value
        elif name in SMALL_SAMPLE:
            _small_sample(name, value, given, line, names)
        elif name in NEEDLESS:
            line.say(NEEDLESS[name])
        elif name in WORKERS and (names.factors or names.learner):
            given["n_jobs"] = value
        elif name in WORKERS:
            line.say("Effects are absorbed in one thread here")
        elif name in TOLERANCES:
            given["tol"] = value
        elif name in BOOTSTRAPS:
            _bootstrap(name, value, line, names)
        elif name in RENAMED and (names.factors or (names.learner and RENAMED[name] == "random_state")):
            given[RENAMED[name]] = value
        elif name == "fixef_maxiter" or name in RENAMED:
            line.say("Effects are solved for until tol= is met")
        else:
            rest[name] = value
    if want.get("kind") == "nonrobust" and own_type is not None and ("groups" in want or "entity" in want):
        want.pop("kind")
    if ways:
        own = want.get("groups")
        have = [] if own is None else own if isinstance(own, list) else [own]
        want["groups"] = one_or_list([*have, *(way for way in ways if way not in have)])
        want["kind"] = want["kind"] if str(want.get("kind", "")).startswith("CR") else "cluster"
    covariance = _assembled({**own_kwds, **want}, names, line)
    extra = {key: value for key, value in own_kwds.items() if key not in KEYWORDS.values()}
    if extra:
        covariance["cov_kwds"] = {**covariance.get("cov_kwds", {}), **extra}
    line.fit = {**covariance, **given, **rest}
    return line


def _small_sample(name: str, value: Any, given: dict[str, Any], line: Line, names: Names) -> None:
    """linearmodels' options of the small sample."""
    if name == "group_debias" and value and not names.factors:
        given.setdefault("ssc", "statsmodels")
        line.say("ssc= names a small-sample convention; group_debias=True is the one of statsmodels")
    elif name in ("debiased", "small") and value:
        line.say("Degrees of freedom are always counted, unless ssc= says otherwise")
    elif name in ("debiased", "small", "df_adjust", "group_debias") and value is False:
        given.setdefault("ssc", False if names.factors else "none")
    else:
        line.say("How degrees of freedom are counted is what ssc= says")


def _bootstrap(name: str, value: Any, line: Line, names: Names) -> None:
    """Bootstrap errors: a test instead, or formulas."""
    if names.factors:
        line.say("Errors come from formulas here; draws of slopes and groups are res.bootstrap()")
    elif names.learner:
        line.say("Errors come from formulas here: no draws are needed")
    else:
        number = f", n_boot={value}" if isinstance(value, int) and not isinstance(value, bool) else ""
        line.say(f'Draws belong to the test: res.wild_bootstrap("x"{number})')
