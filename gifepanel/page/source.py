"""How a model was built and fitted, kept as source text: for the code of ``res.report()``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Call", "called", "estimator_source", "reproduction"]

_LONGEST = 60
_WITHOUT_EFFECT = ("n_jobs", "progress", "checkpoint", "context", "learner")


@dataclass(frozen=True)
class Call:
    """A call whose arguments are source text; defaults are left out.

    Attributes
    ----------
    function : str
        ``GroupedIFE.from_formula``, ``fit``.
    arguments : tuple of str
        Positional ones.
    options : tuple of (name, source)
    given : tuple of (name, words)
        Arguments that are too large, or no literals: the source has the name alone, and these words say what it was.
    uses : tuple of str
        Names of the caller's that the formula uses.
    """

    function: str
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    uses: tuple[str, ...] = ()


def called(
    function: str,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    uses: Iterable[str] = (),
) -> Call:
    """Write a call down.

    Parameters
    ----------
    function : str
    options : mapping
        Keyword arguments.
    defaults : mapping, optional
        Their defaults; arguments that equal them are left out.
    arguments : sequence of str
        Positional arguments: a formula, names of variables.
    uses : iterable of str

    Returns
    -------
    Call
    """
    written: list[tuple[str, str]] = []
    given: list[tuple[str, str]] = []
    for name, value in options.items():
        if name in _WITHOUT_EFFECT or _is_default(value, name, defaults or {}):
            continue
        source = _source(value, name, given)
        written.append((name, source))
    plain = [one if one.isidentifier() else _quoted(one) for one in arguments]
    return Call(function, tuple(plain), tuple(written), tuple(given), tuple(uses))


def _is_default(value: Any, name: str, defaults: Mapping[str, Any]) -> bool:
    default = defaults.get(name, _NOTHING)
    return value is default or (type(value) is type(default) and isinstance(value, (str, int, float, tuple))
                                and value == default)  # fmt: skip


_NOTHING = object()


def _source(value: Any, name: str, given: list[tuple[str, str]]) -> str:
    """Source of a literal; the name itself, noted in `given`, for everything else."""
    text = _literal(value)
    if text is not None and len(text) <= 20 * _LONGEST:
        return text
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{_quoted(key)}: {_source(one, key, given)}" for key, one in value.items()) + "}"
    if name not in dict(given):
        given.append((name, _in_words(value)))
    return name if name.isidentifier() else "given"


def _literal(value: Any) -> str | None:
    """Source of numbers, text and small collections of them, None for others."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, (bool, int, range)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else f'float("{value}")'
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.ndim and value.size <= _LONGEST:
        return f"np.array({value.tolist()!r})" if np.isfinite(value).all() else None
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST:
        parts = [_literal(one) for one in value]
        if any(part is None for part in parts):
            return None
        inner = ", ".join(str(part) for part in parts)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(parts) == 1)})"
    if isinstance(value, dict) and len(value) <= _LONGEST:
        pairs = [(_literal(key), _literal(one)) for key, one in value.items()]
        if any(part is None for pair in pairs for part in pair):
            return None
        return "{" + ", ".join(f"{key}: {one}" for key, one in pairs) + "}"
    return None


def _quoted(text: str) -> str:
    """Text in double quotes where it holds none."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain.startswith("'") and '"' not in text else plain


def _in_words(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, np.random.Generator):
        return "a Generator, in the state it had then"
    shape = np.shape(value) if isinstance(value, np.ndarray) or hasattr(value, "shape") else ()
    if shape:
        return f"{kind} of {' x '.join(map(str, shape))} values"
    return f"{kind} of {len(value)}" if hasattr(value, "__len__") else kind


# ---- the code


def reproduction(
    build: Call, fit: Call | None, robust: Call | None, index: tuple[str, str] | None, learner: Any
) -> str:
    """Source that fits the model again.

    Parameters
    ----------
    build, fit, robust : Call
        Of the model, of ``fit`` and of ``get_robustcov_results``.
    index : (str, str), optional
        Names of the levels of the data's index, entity and time.
    learner : estimator or dict of them, optional

    Returns
    -------
    str
        Lines of Python; `data` (or `endog` and `exog`) are the reader's.
    """
    imports, options, given = ["import gifepanel as gife"], list(build.options), list(build.given)
    if learner is not None:
        found = estimator_source(learner)
        options.append(("learner", found[0] if found else "learner"))
        imports += found[1] if found else []
        given += [] if found else [("learner", "a learner of yours")]
    calls = [call for call in (build, fit, robust) if call is not None]
    if any("np.array(" in source for call in calls for _, source in call.options):
        imports.insert(0, "import numpy as np")
    for call in calls[1:]:
        given += [one for one in call.given if one not in given]
    comments = [_data_comment(build, index)]
    comments += [f"# {name}: {words}, as given to the call" for name, words in given]
    if build.uses:
        comments.append(f"# used in the formula, and yours: {', '.join(build.uses)}")
    lines = [*imports, "", *comments, *_statement("model", f"gife.{build.function}", (*build.arguments,), options)]
    fitted = fit or Call("fit")
    lines += _statement("res", "model.fit", (), fitted.options)
    if robust is not None:
        lines += _statement("res", "res.get_robustcov_results", (), robust.options)
    return "\n".join([*lines, "print(res.summary())"])


def _data_comment(build: Call, index: tuple[str, str] | None) -> str:
    if "data" not in build.arguments:
        return "# endog, exog: outcome and regressors"
    by_column = {"entity", "time"} & dict(build.options).keys()
    if by_column or index is None:
        return "# data: one row per observation"
    return f"# data: one row per observation, with the index ({index[0]}, {index[1]})"


def _statement(target: str, function: str, arguments: Sequence[str], options: Sequence[tuple[str, str]]) -> list[str]:
    """One assignment, on one line where it fits in 88 columns."""
    parts = [*arguments, *(f"{name}={source}" for name, source in options)]
    line = f"{target} = {function}({', '.join(parts)})"
    if len(line) <= 88:
        return [line]
    return [f"{target} = {function}(", *(f"    {part}," for part in parts), ")"]


def estimator_source(learner: Any) -> tuple[str, list[str]] | None:
    """Source of scikit-learn estimators and the imports it needs; None where it can't be told."""
    names: dict[str, str] = {}
    if isinstance(learner, Mapping):
        parts = {key: estimator_source(one) for key, one in learner.items()}
        if any(part is None for part in parts.values()):
            return None
        found = {key: part for key, part in parts.items() if part is not None}
        text = "{" + ", ".join(f"{_quoted(key)}: {part[0]}" for key, part in found.items()) + "}"
        return text, sorted({line for part in found.values() for line in part[1]})
    one = _estimator(learner, names)
    return None if one is None else (one, [f"from {module} import {name}" for name, module in sorted(names.items())])


def _estimator(value: Any, names: dict[str, str]) -> str | None:
    """``Ridge(alpha=0.5)``, pipelines and estimators within estimators likewise; only what is not a default."""
    plain = _literal(value)
    if plain is not None:
        return None if "np.array(" in plain else plain
    if isinstance(value, (list, tuple)):
        parts = [_estimator(one, names) for one in value]
        if any(part is None for part in parts):
            return None
        inner = ", ".join(str(part) for part in parts)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(parts) == 1)})"
    kind = type(value)
    if not hasattr(value, "get_params") or not _can_be_imported(kind):
        return None
    usual = _usual_parameters(kind)
    arguments = []
    for name, one in value.get_params(deep=False).items():
        if _is_default(one, name, usual):
            continue
        text = _estimator(one, names)
        if text is None:
            return None
        arguments.append(f"{name}={text}")
    names[kind.__name__] = _public_module(kind)
    return f"{kind.__name__}({', '.join(arguments)})"


def _can_be_imported(kind: type) -> bool:
    return kind.__module__ != "__main__" and "<locals>" not in kind.__qualname__ and "." not in kind.__qualname__


def _usual_parameters(kind: type) -> dict[str, Any]:
    from inspect import signature

    return {name: one.default for name, one in signature(kind).parameters.items() if one.default is not one.empty}


def _public_module(kind: type) -> str:
    """``sklearn.linear_model`` for ``sklearn.linear_model._ridge``."""
    parts = kind.__module__.split(".")
    for n in range(1, len(parts) + 1):
        module = ".".join(parts[:n])
        if n > 1 and getattr(sys.modules.get(module), kind.__name__, None) is kind:
            return module
    return kind.__module__
