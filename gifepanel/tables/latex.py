r"""Reports as LaTeX: as wide as the text of an article or less, and no float higher than a page of it.

Tables are ``tabular*``, so that notes are as wide as they are; the only package needed is booktabs. Numbers are flush
right with their decimals filled up by ``\phantom``, and what follows the digits hangs out with ``\rlap``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from gifepanel.tables.blocks import Block, Notes, Pairs, Row, Table, expanded, heads
from gifepanel.tables.decimals import column_decimals, short_by
from gifepanel.tables.latex_text import as_number, as_tex, as_value, as_words, text_points
from gifepanel.tables.panels import LONGEST_WORDS, Measure, panels
from gifepanel.tables.text_width import columns, wrap

__all__ = ["latex_report"]

_TEXT, _ROOM = 345.0, 341.0  # points of a line of article at 10 points, and of a table
_PAGE, _CAPTION = 530.0, 32.0  # points that a float may be high, and of its caption
_GAP, _STAR = 7.0, 3.8  # points between columns, of a star
_WAITING = 12  # floats that LaTeX keeps until a page is full; it gives up at 18
_NARROWEST = 0.62  # of a line, for notes to be read


@dataclass(frozen=True)
class _Size:
    """A size of type: its command, twice the width of a digit, the distance of lines, in points."""

    command: str
    em: float
    line: float


_SIZES = (_Size(r"\small", 9.3, 11.0), _Size(r"\footnotesize", 8.6, 9.5), _Size(r"\scriptsize", 8.1, 8.0))
_NOTES = _SIZES[1]


def latex_report(title: str, blocks: Sequence[Block], *, escape: bool = True, label: str = "") -> str:
    """Table environments, more than one where a page does not hold everything; the preamble needs booktabs."""
    most = _PAGE - _caption(title)
    size, pieces = next(found for found in map(partial(_set, blocks, escape, most), _SIZES[:2]) if found is not None)
    floats: list[list[str]] = [[]]
    above = _caption(title)
    height = above
    for lines, high in pieces:
        if height + high > _PAGE and floats[-1]:
            floats.append([])
            height = above
        floats[-1] += lines
        height += high
    caption, out = as_words(title, escape), []
    for number, lines in enumerate(floats):
        more = " (continued)" if number else ""
        head = [rf"\caption{{{caption}{more}}}"] if title else []
        head = ([r"\addtocounter{table}{-1}"] if number and title else []) + head
        head += [rf"\label{{{label}}}"] if label and not number else []
        out += [r"\begin{table}[htbp]", rf"\centering{size.command}\setlength{{\tabcolsep}}{{0pt}}", *head]
        out += [*_joined_notes(lines), r"\end{table}"]
        out += [r"\clearpage"] * (number % _WAITING == _WAITING - 1 and number + 1 < len(floats))
    return "\n".join(out)


_Pieces = list[tuple[list[str], float]]


def _caption(title: str) -> float:
    """Height of the caption with the space below it."""
    return _CAPTION + _SIZES[0].line * (math.ceil(1.08 * text_points(title, 10.0) / _TEXT) - 1 if title else 0)


def _set(blocks: Sequence[Block], escape: bool, most: float, size: _Size) -> tuple[_Size, _Pieces] | None:
    """Lines of LaTeX that stay together with their height in points; None if a smaller size would do better."""
    smallest = size is _SIZES[1]
    if not smallest and not all(_fits(block, size) for block in blocks if isinstance(block, Table)):
        return None
    parts = [part for block in blocks for part in _cut_to_fit(block, size)]
    several = sum(not isinstance(block, Notes) for block in parts) > 1
    share = 1.0 if several else max([_NARROWEST, *(_share(t, size) for t in parts if isinstance(t, Table))])
    pieces = [piece for part in parts for piece in _pieces(part, size, share, escape, most)]
    if not smallest and sum(high for _, high in pieces) > most:
        return None
    return size, pieces


def _pieces(block: Block, size: _Size, share: float, escape: bool, most: float) -> _Pieces:
    if isinstance(block, Pairs):
        return [_pairs(block, size, share, escape)]
    if isinstance(block, Table):
        parts = _cut_by_height(_setting(block, size, share, escape), most)
        return [_table(_setting(part, size, share, escape)) for part in parts]
    return _notes(block, share, escape)


# ---- notes


def _notes(block: Notes, share: float, escape: bool) -> _Pieces:
    room = share * _TEXT - (25 if block.numbered else 0)
    out = []
    for number, note in enumerate(block.lines, 1):
        lines = math.ceil(1.08 * text_points(note, _NOTES.em) / room)
        mark = rf"\item[{number}.] " if block.numbered else ""
        out.append(
            ([f"{_NOTE[block.numbered]}{share:.3g}|{mark}{as_words(note, escape)}"], _NOTES.line * (lines + 0.3))
        )
    return out


_NOTE = ("%note|", "%item|")


def _joined_notes(lines: Sequence[str]) -> list[str]:
    """Notes that follow each other, in one box."""
    out: list[str] = []
    inside = ""
    for line in [*lines, ""]:
        kind = next((mark for mark in _NOTE if line.startswith(mark)), "")
        if inside and kind != inside:
            out += [r"\end{enumerate}"] * (inside == _NOTE[1]) + [r"\end{minipage}"]
        if kind:
            share, text = line[len(kind) :].split("|", 1)
            if kind != inside:
                out += [rf"\begin{{minipage}}{{{share}\linewidth}}{_NOTES.command}\raggedright"]
                out += [r"\begin{enumerate}\setlength{\itemsep}{0pt}\setlength{\parsep}{0pt}"] * (kind == _NOTE[1])
            elif kind == _NOTE[0]:
                out[-1] += r"\\"
            out.append(text)
        elif line:
            out.append(line)
        inside = kind
    return out


# ---- labels and values


def _pairs(block: Pairs, size: _Size, share: float, escape: bool) -> tuple[list[str], float]:
    sides = [side for side in (block.left, block.right) if side]
    gaps = _GAP * (2 * len(sides) - 1)
    labels = [max(text_points(f"{label}:", size.em) for label, _ in side) for side in sides]
    values = [max(text_points(value, size.em) for _, value in side) for side in sides]
    room = share * _ROOM - gaps
    flows = sum(labels) + sum(values) > room
    spec = ["lr"] * len(sides)
    most = _shares([*labels, *values], room)
    if flows:
        spec = [
            "".join(f"p{{{width / _TEXT:.3f}\\linewidth}}" for width in (most[k], most[len(sides) + k]))
            for k in range(len(sides))
        ]
    out = [_begin(share, "".join(spec)), r"\toprule"]
    lines = 0
    for row in block.rows:
        texts = [
            (f"{label}:" * (side == 0) or value, most[k + side * len(sides)])
            for k, (label, value) in enumerate(row[: len(sides)])
            for side in (0, 1)
        ]
        lines += max(_lines(text, width, size) for text, width in texts)
        cells = [text for k in range(len(sides)) for text in _pair(*row[k], flows, escape)]
        out.append(" & ".join(cells) + (r" \tabularnewline" if flows else r" \\"))
    return [*out, *_END], _RULES + size.line * lines


_END, _RULES = (r"\bottomrule", r"\end{tabular*}", r"\par\medskip"), 22.0


def _lines(text: str, room: float, size: _Size) -> int:
    """Lines that a text takes, from above."""
    width = text_points(text, size.em)
    return 1 if width <= room else math.ceil(1.15 * width / room)


def _pair(label: str, value: str, flows: bool, escape: bool) -> tuple[str, str]:
    name = f"{label}:" if label else ""
    if flows:
        text = as_words(value, escape) if columns(value) > 20 else as_value(value, escape)
        return rf"\raggedright {as_words(name, escape)}" if name else "", rf"\raggedleft {text}" if value else ""
    return as_tex(name, escape), as_value(value, escape)


def _shares(widths: Sequence[float], room: float) -> list[float]:
    """Widths that fit in the room: the widest give way."""
    widths = list(widths)
    while sum(widths) > room:
        widest = widths.index(max(widths))
        widths[widest] -= max(1.0, 0.05 * widths[widest])
    return widths


# ---- tables


def _widths(block: Table, size: _Size) -> list[float]:
    """Points of every column but the first, with the gap before it."""
    digits, words = [0.0] * len(block.header), [0.0] * len(block.header)
    spans = []
    heading = [block.header, *block.spanners]
    for number, row in enumerate([*heading, *block.rows]):
        for start, n, text in expanded(row):
            width = _cell_points(text, size, n, block, wraps=number < len(heading) and start > 0)
            if n > 1:
                spans.append((start, n, width))
            elif short_by(text, 1) or text.strip()[:1] in ("(", "["):
                digits[start] = max(digits[start], width)
            else:
                words[start] = max(words[start], width)
    hang = _hang(block)
    widths = [max(d + hang, w) + _GAP for d, w in zip(digits, words, strict=True)]
    for start, n, width in spans:
        short = width + _GAP - sum(widths[start : start + n])
        for k in range(n):
            widths[start + k] += max(short, 0) / n
    return widths[1:]


def _cell_points(text: str, size: _Size, n: int, block: Table, *, wraps: bool) -> float:
    """Width of a cell without what hangs out; words are wrapped."""
    body = text.strip().rstrip("*")
    if block.hang and n == 1 and len(body) > 1:
        body = body.rstrip(")]")
    body = _EXPONENT.sub("-10", body)
    parts = _wrapped(body, n) if wraps or block.units or block.text_last else [body]
    return max(text_points(part, size.em) for part in parts)


_EXPONENT = re.compile(r"(?<=\d)e[-+](?=\d)")  # set as a power of ten


def _wrapped(text: str, n: int = 1) -> list[str]:
    """Words over columns of numbers in several lines."""
    text = text.strip()
    return wrap(text, LONGEST_WORDS * n) if columns(text) > LONGEST_WORDS * n and " " in text else [text]


def _hang(block: Table) -> float:
    """Points beyond the digits for stars or a bracket."""
    return max(block.hang * _STAR, 4.0) + 1 if block.hang else 0.0


def _stub(block: Table, size: _Size) -> float:
    return max(text_points(row[0], size.em) for row in (block.header, *block.rows) if isinstance(row[0], str))


def _measure(size: _Size) -> Measure:
    return Measure(partial(_widths, size=size), partial(_stub, size=size), 0.45 * _ROOM, 50.0)


def _fits(block: Table, size: _Size) -> bool:
    if block.text_last:
        return sum(_widths(block, size)[:-1]) < 0.4 * _ROOM
    return min(_stub(block, size), 0.45 * _ROOM) + sum(_widths(block, size)) <= _ROOM


def _cut_to_fit(block: Block, size: _Size) -> list[Block]:
    """The block, or panels of it."""
    if not isinstance(block, Table) or block.text_last:
        return [block]
    if min(_stub(block, size), 0.3 * _ROOM) + sum(_widths(block, size)) <= _ROOM:
        return [block]
    units = block.units or (1,) * (len(block.header) - 1)
    return list(panels(replace(block, units=units), _ROOM, _measure(size)))


def _cut_by_height(setting: _Setting, most: float) -> list[Table]:
    """Tables that a page holds, the head over each; none is higher than `most` points."""
    block, line = setting.block, setting.size.line
    room = most - _RULES - line * sum(len(_head_rows(head, setting)) for head, _ in heads(block))
    out: list[list[tuple[str, tuple[Row, ...]]]] = [[]]
    taken = 0.0
    for title, rows in block.sections:
        kept: list[Row] = []
        above = _SECTION + line * bool(title)
        taken += above
        for row, follower in zip(rows, (*rows[1:], None), strict=False):
            high = line * _row_lines(row, setting)
            pair = line * _row_lines(follower, setting) if follower is not None and not follower[0] else 0.0
            if taken + high + pair > room and (kept or out[-1]) and row[0]:
                out[-1] += [(title, tuple(kept))] if kept else []
                out.append([])
                kept, taken = [], above
            kept.append(row)
            taken += high
        out[-1].append((title, tuple(kept)))
    return [replace(block, sections=tuple(part)) for part in out]


def _share(block: Table, size: _Size) -> float:
    """Share of a line that the table takes."""
    if block.text_last:
        return 1.0
    natural = _stub(block, size) + sum(_widths(block, size)) + _GAP * (len(block.header) - 1)
    return min(1.0, natural / _ROOM)


def _begin(share: float, spec: str) -> str:
    return rf"\begin{{tabular*}}{{{share:.3g}\linewidth}}{{@{{\extracolsep{{\fill}}}}{spec}@{{}}}}"


def _table(setting: _Setting) -> tuple[list[str], float]:
    block, escape = setting.block, setting.escape
    out = [_begin(setting.share, setting.spec), r"\toprule"]
    lines = 0
    for head, ruled in heads(block):
        above = _head_rows(head, setting)
        out += above
        lines += len(above)
        if ruled:
            spans = [(j, n) for j, n, text in expanded(head) if n > 1 and text]
            out.append(" ".join(rf"\cmidrule(lr){{{j + 1}-{j + n}}}" for j, n in spans))
    out.append(r"\midrule")
    for number, (title, rows) in enumerate(block.sections):
        out += [r"\midrule"] * bool(number and block.rules)
        if title:
            out.append(rf"\multicolumn{{{len(block.header)}}}{{l}}{{\textit{{{as_tex(title, escape)}}}}} {setting.end}")
            lines += 1
        for row in rows:
            out += _body_rows(row, setting)
            lines += _row_lines(row, setting)
    return [*out, *_END], _RULES + _SECTION * len(block.sections) + setting.size.line * lines


_SECTION = 5.0  # points of the rule above a section


def _row_lines(row: Row, setting: _Setting) -> int:
    """Lines of the name and of the last words, from above, and those of values that go on below."""
    flows = [(row[0], setting.space)] if setting.named else []
    flows += [(row[-1], setting.last)] if setting.text_last else []
    most = max([1, *(_lines(text, room, setting.size) for text, room in flows if isinstance(text, str))])
    return most + len(_body_rows(row, setting)) - 1


@dataclass(frozen=True)
class _Setting:
    """How the rows of a table are set: with names or last words in paragraphs, rows end otherwise."""

    block: Table
    most: list[int]
    escape: bool
    named: bool
    text_last: bool
    size: _Size
    share: float
    space: float
    last: float

    def room(self, points: float) -> float:
        """A width in thousandths of an em, less what hyphens and rounding take."""
        return 1000 * 0.97 * points / self.size.em

    @property
    def spec(self) -> str:
        """Columns as LaTeX has them."""
        hang = _hang(self.block)
        name = f"p{{{self.space / _TEXT:.3f}\\linewidth}}" if self.named else "l"
        values = [f"r@{{\\hspace{{{hang:.3g}pt}}}}" if self.block.hang else "r"] * (len(self.block.header) - 1)
        if self.text_last:
            values[-1] = f"p{{{self.last / _TEXT:.3f}\\linewidth}}"
        return "".join([name, *values])

    @property
    def end(self) -> str:
        return r"\tabularnewline" if self.named or self.text_last else r"\\"


def _setting(block: Table, size: _Size, share: float, escape: bool) -> _Setting:
    """How wide names and last words are beside the values."""
    widths, stub = _widths(block, size), _stub(block, size)
    room = share * _ROOM
    last = room - sum(widths[:-1]) - min(stub, 0.3 * room) if block.text_last else 0.0
    space = room - (sum(widths[:-1]) + last if block.text_last else sum(widths))
    return _Setting(block, column_decimals(block), escape, stub > space, block.text_last, size, share,
                    max(space, 40.0), last - _GAP)  # fmt: skip


def _head_rows(row: Row, setting: _Setting) -> list[str]:
    """Headings, wrapped upwards."""
    block = setting.block
    cells = [(n, _wrapped(text, n) if start else [text], start) for start, n, text in expanded(row)]
    height = max(len(parts) for _, parts, _ in cells)
    out = []
    for k in range(height):
        line = []
        for n, parts, start in cells:
            at = k - (height - len(parts))
            text = as_value(parts[at], setting.escape) if at >= 0 else ""
            text = (
                rf"\raggedright {as_words(parts[at], setting.escape, setting.room(setting.space))}"
                if text and not start and setting.named
                else text
            )
            last = block.text_last and start == len(block.header) - 1
            centred = n > 1 or (start and text and not last and block.hang)
            line.append(rf"\multicolumn{{{n}}}{{c}}{{{text}}}" if centred else text)
        out.append(f"{' & '.join(line)} {setting.end}")
    return out


def _body_rows(row: Row, setting: _Setting) -> list[str]:
    """A row; words that are long go on below."""
    block = setting.block
    wraps = bool(block.units) and not block.text_last
    cells = [(n, _wrapped(text, n) if start and wraps else [text], start) for start, n, text in expanded(row)]
    height = max(len(parts) for _, parts, _ in cells)
    out = []
    for k in range(height):
        line = [_cell(parts[k] if k < len(parts) else "", start, n, setting) for n, parts, start in cells]
        out.append(f"{' & '.join(line)} {setting.end}")
    return out


def _cell(text: str, start: int, n: int, setting: _Setting) -> str:
    block = setting.block
    if not start:
        return (
            (
                rf"\raggedright {as_words(text, setting.escape, setting.room(setting.space))}"
                if setting.named
                else as_tex(text, setting.escape)
            )
            if text
            else ""
        )
    if setting.text_last and start == len(block.header) - 1:
        words = as_words(text, setting.escape, setting.room(setting.last))
        return rf"\raggedright {words}" if text.strip() else ""
    if n > 1:
        return rf"\multicolumn{{{n}}}{{c}}{{{as_value(text, setting.escape)}}}"
    number = as_number(text, short_by(text, setting.most[start])) if "." in text else None
    if number is not None:
        return number
    value = as_value(text, setting.escape)
    return rf"\multicolumn{{1}}{{c}}{{{value}}}" if block.hang and value else value
