r"""Text as LaTeX: what has to be escaped, where long names may break, how wide it is set in Computer Modern."""

from __future__ import annotations

import math
import re
import unicodedata

from gifepanel.tables.text_width import columns

__all__ = ["as_number", "as_tex", "as_value", "as_words", "text_points"]

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "[": "{[}",  # after a line break it would open an optional argument
    "*": "{*}",
}
_IN_COMMANDS = {key: _ESCAPES[key] for key in "&%#_^|<>"}  # not allowed, or another sign, outside mathematics
_MATHEMATICS = re.compile(r"(?<!\\)\$(?:\\.|[^$\\])+\$|\\\(.+?\\\)|\\ensuremath\{[^{}]*\}")
_NUMBER = re.compile(r"([(\[]?)([-+]?)([\d,]*\.?\d+)([)\]]?)(\**)")
_POWER = re.compile(r"([(\[]?)([-+]?\d+(?:\.\d+)?)e([-+]\d+)([)\]]?)(\**)")
_LONG, _RUN = 20, 22  # characters of a word from which on it may be broken, and of a piece of it

# ---- escapes


def as_tex(text: str, escape: bool = True) -> str:
    """The text for LaTeX; without `escape` mathematics and commands in it stand as they are."""
    text = text.strip()
    if escape:
        return "".join(_ESCAPES.get(character, character) for character in text).replace("--", "-{}-")
    out, stop = [], 0
    for found in _MATHEMATICS.finditer(text):
        out += [_between(text[stop : found.start()]), found[0]]
        stop = found.end()
    joined = "".join([*out, _between(text[stop:])])
    return f"{{{joined[0]}}}{joined[1:]}" if joined[:1] in ("[", "*") else joined


def _between(text: str) -> str:
    """Text between pieces of mathematics: commands stay, single characters are escaped where they must be."""
    return re.sub(
        r"\\.|[&%#_^|<>$]",
        lambda found: found[0] if found[0][0] == "\\" else _IN_COMMANDS.get(found[0], r"\$"),
        text,
        flags=re.DOTALL,
    )


def as_value(text: str, escape: bool = True) -> str:
    """A number or a word: stars as superscript, minus signs as such."""
    body = text.strip()
    stars = len(body) - len(body.rstrip("*"))
    if found := _POWER.fullmatch(body):
        return f"{as_tex(found[1])}{_power(found[2], found[3])}{found[4]}{_stars(found[5])}"
    body = re.sub(r"(?<![\w-])-(?=\d|inf)", "$-$", as_tex(body[: len(body) - stars], escape))
    return body + _stars("*" * stars)


def _power(mantissa: str, exponent: str) -> str:
    return rf"${mantissa}\times10^{{{int(exponent)}}}$"


def _stars(stars: str) -> str:
    return f"$^{{{stars}}}$" if stars else ""


def as_number(text: str, missing: int) -> str | None:
    """A number flush right with its column: marks hang out, `missing` decimals are left blank; None of other text."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    opening, sign, digits, closing, stars = found.groups()
    minus = {"-": "$-$", "+": "$+$"}.get(sign, "")
    marks = (rf"\rlap{{{closing}}}" if closing else "") + (rf"\rlap{{{_stars(stars)}}}" if stars else "")
    blank = rf"\phantom{{{'0' * missing}}}" if missing > 0 else ""
    return f"{as_tex(opening)}{minus}{digits}{marks}{blank}"


def as_words(text: str, escape: bool = True, room: float = math.inf) -> str:
    """Text that is broken into lines: long names at their signs, and at any letter if there are none.

    `room` is the width of a line in thousandths of an em: no piece of a name is wider.
    """
    words = text.split()
    if not escape:
        return as_tex(text, escape)
    return " ".join(as_tex(word) if columns(word) <= _LONG and _wide(word) <= room else _breakable(word, room)
                    for word in words)  # fmt: skip


def _breakable(word: str, room: float) -> str:
    pieces = [piece for piece in re.split(r"(?<=[_.,:;/=(\"&+*|\-])(?=\w)|(?<=\w)(?=[(\[])", word) if piece]
    return r"\allowbreak{}".join(as_tex(part) for piece in pieces for part in _runs(piece, room))


def _runs(piece: str, room: float) -> list[str]:
    """Letters without a sign, in parts that are short enough."""
    parts, taken = [""], 0.0
    for letter in piece:
        width = _wide(letter)
        if parts[-1] and width and (len(parts[-1]) >= _RUN or taken + width > room):
            parts.append("")
            taken = 0.0
        parts[-1] += letter
        taken += width
    return parts


# ---- widths

# thousandths of an em, by signs that are equally wide
_WIDTHS = {
    sign: width
    for width, signs in {
        278: "il.,:;'![]",
        306: "fj",
        361: "I_",
        392: "rst()",
        444: "cez",
        514: 'Jagoq0123456789|/*$?"',
        528: "kvxy",
        556: "bdhnpuS",
        625: "L",
        681: "FEPZ",
        722: "wTBC",
        750: "AHNUVXYKR",
        785: "DOQG-",
        833: "m",
        917: "M",
        1028: "W",
    }.items()
    for sign in signs
} | {" ": 333}


def text_points(text: str, em: float) -> float:
    """Width in points, from above, where digits are half of `em` wide; minus signs count as those of mathematics."""
    return em * _wide(text.strip()) / 1000


def _wide(text: str) -> float:
    plain = unicodedata.normalize("NFD", text)
    return sum(_WIDTHS.get(c, 0 if unicodedata.combining(c) else 1000) for c in plain)
