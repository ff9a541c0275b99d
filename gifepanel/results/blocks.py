"""Blocks of a printed report and how each format sets them: text of 78 columns, HTML, LaTeX, Markdown, CSV."""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

__all__ = ["WIDTH", "Block", "Notes", "Pairs", "Table", "render"]

WIDTH = 78


@dataclass(frozen=True)
class Pairs:
    """Labels and values, in two columns side by side."""

    left: tuple[tuple[str, str], ...]
    right: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Pairs side by side, the shorter column filled up with empty ones."""
        return list(zip_longest(self.left, self.right, fillvalue=("", "")))


@dataclass(frozen=True)
class Table:
    """A table with stubs: the first column is text, the others numbers.

    `sections` are (title, rows); the title is printed over the rows where it is not empty. The last column is text
    too where `text_last`.
    """

    header: tuple[str, ...]
    sections: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    text_last: bool = False


@dataclass(frozen=True)
class Notes:
    """Sentences, numbered."""

    lines: tuple[str, ...]


Block = Pairs | Table | Notes


def render(title: str, blocks: Sequence[Block], fmt: str) -> str:
    """The report in one of "text", "html", "latex", "markdown", "csv"; rows are indented in text alone."""
    setter: dict[str, Callable[[str, Sequence[Block]], str]] = {
        "text": _text,
        "html": _html,
        "latex": _latex,
        "markdown": _markdown,
        "csv": _csv,
    }
    return setter[fmt](title, blocks if fmt == "text" else [_flush(block) for block in blocks])


def _flush(block: Block) -> Block:
    if not isinstance(block, Table):
        return block
    sections = [(title, tuple((row[0].strip(), *row[1:]) for row in rows)) for title, rows in block.sections]
    return replace(block, sections=tuple(sections))


# ---- text


def _text(title: str, blocks: Sequence[Block]) -> str:
    lines = [title.center(WIDTH).rstrip(), "=" * WIDTH]
    for block in blocks:
        if isinstance(block, Pairs):
            lines += _text_pairs(block)
        elif isinstance(block, Table):
            lines += _text_table(block)
        else:
            lines += _text_notes(block)
        lines.append("=" * WIDTH)
    if blocks and isinstance(blocks[-1], Notes):
        lines.pop()
    return "\n".join(line.rstrip() for line in lines)


def _text_pairs(block: Pairs) -> list[str]:
    gap = 2
    right_width = max([30, *(len(label) + len(value) + 2 for label, value in block.right)])
    right_width = min(right_width, WIDTH // 2 + 4)
    left_width = WIDTH - right_width - gap
    rows = max(len(block.left), len(block.right))
    lines = []
    for r in range(rows):
        left = _fitted(block.left[r], left_width) if r < len(block.left) else [" " * left_width]
        right = _fitted(block.right[r], right_width) if r < len(block.right) else [""]
        for k in range(max(len(left), len(right))):
            a = left[k] if k < len(left) else " " * left_width
            b = right[k] if k < len(right) else ""
            lines.append(a + " " * gap + b)
    return lines


def _fitted(pair: tuple[str, str], width: int) -> list[str]:
    """Label flush left, value flush right; a value that is too long continues on the next lines."""
    label, value = pair
    if len(label) > width - 12:
        label = label[: width - 15] + "..."
    room = width - len(label) - 2
    if len(value) <= room:
        return [f"{label}:{value:>{width - len(label) - 1}}"]
    parts = textwrap.wrap(value, max(room, 8)) or [""]
    return [f"{label}:{parts[0]:>{width - len(label) - 1}}", *(f"{part:>{width}}" for part in parts[1:])]


def _text_table(block: Table) -> list[str]:
    stub_room, widths = _column_widths(block)
    lines = [_row(block.header, stub_room, widths, block.text_last), "-" * WIDTH]
    for number, (title, rows) in enumerate(block.sections):
        if number:
            lines.append("-" * WIDTH)
        if title:
            lines.append(title[:WIDTH])
        for row in rows:
            lines += _wrapped_row(row, stub_room, widths, block.text_last)
    return lines


def _column_widths(block: Table) -> tuple[int, list[int]]:
    rows = [block.header, *(row for _, section in block.sections for row in section)]
    n = len(block.header)
    widths = [max(len(row[c]) for row in rows) + 2 for c in range(1, n)]
    if block.text_last:
        taken = max(len(row[0]) for row in rows) + sum(widths[:-1])
        widths[-1] = max(12, min(widths[-1], WIDTH - taken))
        return WIDTH - sum(widths), widths
    if sum(widths) > WIDTH - 16:
        widths = [width - 1 for width in widths]
    stub = max(16, min(max(len(row[0]) for row in rows), WIDTH - sum(widths)))
    spare = WIDTH - stub - sum(widths)
    widths = [width + max(0, spare // len(widths)) for width in widths]
    return WIDTH - sum(widths), widths


def _row(row: Sequence[str], stub: int, widths: Sequence[int], text_last: bool) -> str:
    cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True)]
    if text_last:
        cells[-1] = f"  {row[-1]:<{widths[-1] - 2}}"
    return f"{row[0]:<{stub}}" + "".join(cells)


def _wrapped_row(row: Sequence[str], stub: int, widths: Sequence[int], text_last: bool) -> list[str]:
    if text_last and len(row[-1]) > widths[-1] - 2:
        parts = textwrap.wrap(row[-1], widths[-1] - 2)
        first = _row((*row[:-1], parts[0]), stub, widths, True)
        return [first, *(_row(("",) * (len(row) - 1) + (part,), stub, widths, True) for part in parts[1:])]
    if len(row[0]) > stub:
        return [*textwrap.wrap(row[0], WIDTH), _row(("", *row[1:]), stub, widths, text_last)]
    return [_row(row, stub, widths, text_last)]


def _text_notes(block: Notes) -> list[str]:
    lines = ["Notes:"]
    for number, note in enumerate(block.lines, 1):
        lines += textwrap.wrap(f"[{number}] {note}", WIDTH, subsequent_indent="    ")
    return lines


# ---- HTML


def _html(title: str, blocks: Sequence[Block]) -> str:
    out = ['<div class="gifepanel-summary">', f"<h3>{html.escape(title)}</h3>"]
    for block in blocks:
        if isinstance(block, Pairs):
            out.append('<table class="simpletable gifepanel-info">')
            for pairs in block.rows:
                cells = "".join(f"<th>{html.escape(label)}</th><td>{html.escape(value)}</td>" for label, value in pairs)
                out.append(f"<tr>{cells}</tr>")
            out.append("</table>")
        elif isinstance(block, Table):
            out += _html_table(block)
        else:
            out.append('<ol class="gifepanel-notes">')
            out += [f"<li>{html.escape(note)}</li>" for note in block.lines]
            out.append("</ol>")
    out.append("</div>")
    return "\n".join(out)


def _html_table(block: Table) -> list[str]:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.header)
    out = ['<table class="simpletable gifepanel-table">', f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for title, rows in block.sections:
        if title:
            out.append(f'<tr><th colspan="{len(block.header)}" style="text-align:left">{html.escape(title)}</th></tr>')
        for row in rows:
            cells = "".join(f'<td style="text-align:right">{html.escape(cell)}</td>' for cell in row[1:])
            if block.text_last:
                cells = "".join(f'<td style="text-align:right">{html.escape(cell)}</td>' for cell in row[1:-1])
                cells += f'<td style="text-align:left">{html.escape(row[-1])}</td>'
            out.append(f'<tr><th style="text-align:left">{html.escape(row[0])}</th>{cells}</tr>')
    return [*out, "</tbody>", "</table>"]


# ---- LaTeX

_LATEX = {
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
}


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex(title: str, blocks: Sequence[Block]) -> str:
    out = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}"]
    for block in blocks:
        if isinstance(block, Pairs):
            out += [r"\begin{tabular}{lrlr}", r"\toprule"]
            for pairs in block.rows:
                cells = [f"{_tex(label)}{':' if label else ''} & {_tex(value)}" for label, value in pairs]
                out.append(" & ".join(cells) + r" \\")
            out += [r"\bottomrule", r"\end{tabular}", ""]
        elif isinstance(block, Table):
            out += _latex_table(block)
        else:
            out += [r"\begin{minipage}{\linewidth}\footnotesize", r"\begin{enumerate}"]
            out += [rf"\item {_tex(note)}" for note in block.lines]
            out += [r"\end{enumerate}", r"\end{minipage}"]
    out.append(r"\end{table}")
    return "\n".join(out)


def _latex_table(block: Table) -> list[str]:
    columns = "l" + "r" * (len(block.header) - 1)
    if block.text_last:
        columns = columns[:-1] + "l"
    head = " & ".join(rf"\textbf{{{_tex(cell)}}}" if cell else "" for cell in block.header)
    out = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head + r" \\", r"\midrule"]
    for number, (title, rows) in enumerate(block.sections):
        if number:
            out.append(r"\midrule")
        if title:
            out.append(rf"\multicolumn{{{len(block.header)}}}{{l}}{{\textit{{{_tex(title)}}}}} \\")
        out += [" & ".join(_tex(cell) for cell in row) + r" \\" for row in rows]
    return [*out, r"\bottomrule", r"\end{tabular}", ""]


# ---- Markdown and CSV


def _md(cell: str) -> str:
    return cell.replace("|", "\\|")


def _markdown(title: str, blocks: Sequence[Block]) -> str:
    out = [f"### {title}", ""]
    for block in blocks:
        if isinstance(block, Pairs):
            out += ["| | | | |", "|:--|--:|:--|--:|"]
            for pairs in block.rows:
                out.append("| " + " | ".join(_md(cell) for pair in pairs for cell in pair) + " |")
        elif isinstance(block, Table):
            align = [":--", *["--:"] * (len(block.header) - 1)]
            if block.text_last:
                align[-1] = ":--"
            out += ["| " + " | ".join(map(_md, block.header)) + " |", "|" + "|".join(align) + "|"]
            for section, rows in block.sections:
                if section:
                    out.append(f"| **{_md(section)}** |" + " |" * (len(block.header) - 1))
                out += ["| " + " | ".join(map(_md, row)) + " |" for row in rows]
        else:
            out += [f"{number}. {note}" for number, note in enumerate(block.lines, 1)]
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def _csv(title: str, blocks: Sequence[Block]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([title])
    for block in blocks:
        if isinstance(block, Pairs):
            writer.writerows([label, value] for label, value in (*block.left, *block.right))
        elif isinstance(block, Table):
            writer.writerow(["section", *block.header] if any(t for t, _ in block.sections) else block.header)
            for section, rows in block.sections:
                writer.writerows([section, *row] if section else row for row in rows)
        else:
            writer.writerows(["note", note] for note in block.lines)
    return buffer.getvalue()
