"""Errors as a shell has them: options in the place of Python's arguments."""

from __future__ import annotations

import re

from gifepanel.exceptions import FormulaError, GifepanelError

__all__ = ["in_shell_words"]

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
    parts = [error.found, error.needed, _fix(error)]
    if told:
        parts.append(f"(The file was read as text {told}.)")
    given = [part.strip() for part in parts if part and part.strip()]
    closed = [part if part.endswith((".", "!", "?", ":", ")")) else f"{part}." for part in given[:-1]]
    return " ".join([*closed, *given[-1:]])


def _fix(error: GifepanelError) -> str | None:
    fix = error.fix
    if not fix:
        return None
    if re.fullmatch(rf"{_ARGUMENT}(?:, {_ARGUMENT})*", fix):
        options = [_option(*found) for found in re.findall(_ARGUMENT, fix)]
        if all(options):
            return f"Add {' '.join(filter(None, options))}"
    if fix.startswith("pip install") or (isinstance(error, FormulaError) and "~" not in fix and "=" not in fix):
        return fix
    if isinstance(error, FormulaError) and re.fullmatch(r'"[^"]*~[^"]*"|[^=]*~[^=]*', fix):
        return '"{}"'.format(fix.strip('"'))
    return f"In Python: {fix}"


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
