"""Errors as a shell has them: options in the place of Python's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gifepanel.exceptions import FormulaError, GifepanelError

__all__ = ["in_shell_words", "with_backticks"]

_OPTIONS = {
    "entity": "--entity",
    "time": "--time",
    "weights": "--weights",
    "partial": "--partial",
    "n_groups": "--groups",
    "n_factors": "--factors",
    "cov_type": "--cov-type",
    "random_state": "--seed",
}
_ARGUMENT = r'(\w+)=(\{"groups": (?:"[^"]+"|\[[^\]]*\])\}|range\(\d+(?:, \d+)?\)|"[^"]*"|\d+)'


def in_shell_words(error: GifepanelError, told: str = "") -> str:
    """The text of an error with its fix as a line of a shell where there is one; `told` is how the file was read."""
    parts = [_in_options(error.found), _in_options(error.needed or ""), _fix(error)]
    if told:
        parts.append(f"(The file was read as text {told}.)")
    given = [part.strip() for part in parts if part and part.strip()]
    closed = [part if part.endswith((".", "!", "?", ":", ".)")) else f"{part}." for part in given[:-1]]
    return " ".join([*closed, *given[-1:]])


def _in_options(text: str) -> str:
    """ "groups= names 'x'" as "--cluster names 'x'", "n_groups is 40" as "--groups is 40"."""
    text = re.sub(r"\bgroups=(?= )", "--cluster", text)
    text = re.sub(r"\b(entity|time|weights|partial)=(?=[ ,.;]|$)", r"--\1", text)
    text = re.sub(r"\b(entity|time|weights)='([^']*)'", lambda m: f"--{m[1]} {_quoted(m[2])}", text)
    return re.sub(r"\b(n_groups|n_factors|cov_type|random_state)(?= is\b|=)", lambda m: _OPTIONS[m[1]], text)


def with_backticks(text: str, columns: Iterable[str]) -> str:
    """A formula in which names of columns with blanks stand in backticks, those that stand in some already excepted."""
    names = sorted((name for name in columns if " " in name.strip()), key=len, reverse=True)
    if not names:
        return text
    pattern = "|".join(map(re.escape, names))
    pieces = re.split(r"(`[^`]*`|\"[^\"]*\"|'[^']*')", text)
    return "".join(
        piece if k % 2 else re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", lambda m: f"`{m[0]}`", piece)
        for k, piece in enumerate(pieces)
    )


def _fix(error: GifepanelError) -> str | None:
    fix = error.fix
    if not fix:
        return None
    given = fix.replace("'", '"')
    if re.fullmatch(rf"{_ARGUMENT}(?:, {_ARGUMENT})*", given):
        options = [_option(*found) for found in re.findall(_ARGUMENT, given)]
        if all(options):
            return f"Add {' '.join(filter(None, options))}."
    if fix.startswith(("pip install", "did you mean")):
        return fix
    if isinstance(error, FormulaError):
        if "~" not in fix and "=" not in fix:
            return fix
        if re.fullmatch(r'"[^"]*~[^"]*"|[^=]*~[^=]*', fix):
            return '"{}"'.format(fix.strip('"'))
    return f"In Python: {fix}" if re.search(r"[=(\[]|\w\.\w", fix) else fix  # a line of code, or words


def _option(name: str, value: str) -> str | None:
    if name == "cov_kwds":
        ways = re.findall(r'"([^"]+)"', value.partition(":")[2])
        return f"--cluster {_quoted(','.join(ways))}"
    if name not in _OPTIONS:
        return None
    if found := re.fullmatch(r"range\((?:(\d+), )?(\d+)\)", value):
        return f"{_OPTIONS[name]} {found[1] or 0}-{int(found[2]) - 1}"
    return f"{_OPTIONS[name]} {_quoted(value.strip(chr(34)))}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.,:/-]+", text) else f'"{text}"'
