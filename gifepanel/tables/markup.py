"""Reports as HTML, Markdown and comma-separated values."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence

from gifepanel.tables.blocks import Block, Pairs, Row, Table, expanded, heads
from gifepanel.tables.decimals import column_decimals, short_by

__all__ = ["STYLE", "csv_report", "html_report", "markdown_report"]

# ---- HTML

# No background and no colour of its own: it reads in light and in dark notebooks. Alignment stands on the cells, for
# viewers that drop style sheets.
STYLE = (
    "<style>"
    ".gifepanel{max-width:100%;overflow-x:auto;line-height:1.35}"
    ".gifepanel .gifepanel-title{font-weight:600;margin:.2em 0 .4em}"
    ".gifepanel table{border-collapse:collapse;border:0;border-top:2px solid currentColor;"
    "border-bottom:2px solid currentColor;margin:0 0 .7em;width:auto;font-variant-numeric:tabular-nums;color:inherit}"
    ".gifepanel table tr,.gifepanel table tbody tr:nth-child(odd),.gifepanel table tbody tr:nth-child(even),"
    ".gifepanel table tbody tr:hover{background:none}"
    ".gifepanel table th,.gifepanel table td{border:0;padding:.12em .7em;vertical-align:baseline;color:inherit;"
    "background:none;max-width:none;white-space:nowrap}"
    ".gifepanel table th{font-weight:600}"
    ".gifepanel table tbody th,.gifepanel table.gifepanel-info th{font-weight:400}"
    ".gifepanel table .gifepanel-words{white-space:normal;overflow-wrap:anywhere;min-width:18em}"
    ".gifepanel table thead tr:last-child th,.gifepanel table thead tr:last-child td"
    "{border-bottom:1px solid currentColor}"
    ".gifepanel table th.gifepanel-span{border-bottom:1px solid currentColor}"
    ".gifepanel table tbody.gifepanel-rule tr:first-child>*{border-top:1px solid currentColor}"
    ".gifepanel table tbody th.gifepanel-section{font-style:italic;padding-top:.3em}"
    ".gifepanel table.gifepanel-info td:nth-child(2){padding-right:2.5em}"
    ".gifepanel .gifepanel-notes{margin:.2em 0 .2em;font-size:.92em;max-width:52em}"
    ".gifepanel ol.gifepanel-notes{padding-left:1.8em}"
    "</style>"
)


def html_report(title: str, blocks: Sequence[Block]) -> str:
    """An HTML fragment with its own, scoped style."""
    out = ['<div class="gifepanel gifepanel-summary">', STYLE]
    if title:
        out.append(f'<p class="gifepanel-title">{html.escape(title)}</p>')
    for block in blocks:
        if isinstance(block, Pairs):
            out += _html_pairs(block)
        elif isinstance(block, Table):
            out += _html_table(block)
        elif block.numbered:
            out.append('<ol class="gifepanel-notes">')
            out += [f"<li>{html.escape(note)}</li>" for note in block.lines]
            out.append("</ol>")
        else:
            out += [f'<p class="gifepanel-notes">{html.escape(note)}</p>' for note in block.lines]
    return "\n".join([*out, "</div>"])


def _html_pairs(block: Pairs) -> list[str]:
    out = ['<table class="simpletable gifepanel-info">']
    align = "right" if block.right else "left"
    for left, right in block.rows:
        cells = _html_pair(*left, align) + (_html_pair(*right, align) if block.right else "")
        out.append(f"<tr>{cells}</tr>")
    return [*out, "</table>"]


def _html_pair(label: str, value: str, align: str) -> str:
    head = f'<th scope="row"{_words(label)} style="text-align:left">{html.escape(label)}</th>' if label else "<td></td>"
    return f'{head}<td{_words(value)} style="text-align:{align}">{html.escape(value)}</td>'


def _words(text: str) -> str:
    """Class of cells that are long enough to be wrapped."""
    return ' class="gifepanel-words"' if len(text) > 34 else ""


def _html_table(block: Table) -> list[str]:
    out = ['<table class="simpletable gifepanel-table">', "<thead>"]
    out += [f"<tr>{_html_heads(row, block, ruled)}</tr>" for row, ruled in heads(block)]
    out.append("</thead>")
    most = column_decimals(block)
    for number, (title, rows) in enumerate(block.sections):
        out.append('<tbody class="gifepanel-rule">' if number and block.rules else "<tbody>")
        if title:
            look = f'class="gifepanel-section" colspan="{len(block.header)}" style="text-align:left"'
            out.append(f'<tr><th scope="rowgroup" {look}>{html.escape(title)}</th></tr>')
        out += [f"<tr>{_html_cells(row, block, most)}</tr>" for row in rows]
        out.append("</tbody>")
    return [*out, "</table>"]


def _html_heads(row: Row, block: Table, ruled: bool) -> str:
    out = []
    for start, n, text in expanded(row):
        side = "left" if start == 0 or (block.text_last and start == len(block.header) - 1) else "right"
        attributes = f' colspan="{n}"' * (n > 1) + ' class="gifepanel-span"' * (ruled and n > 1)
        align = "center" if n > 1 else side
        head = text.strip() + " " * (block.hang if start else 0)
        out.append(f'<th scope="col"{attributes} style="text-align:{align}">{_hanging(head, block, n)}</th>')
    return "".join(out)


def _html_cells(row: Row, block: Table, most: Sequence[int]) -> str:
    cells = expanded(row)
    name = cells[0][2].strip()
    out = [f'<th scope="row"{_words(name)} style="text-align:left">{html.escape(name)}</th>']
    for start, n, text in cells[1:]:
        side = "left" if block.text_last and start == len(block.header) - 1 else "right"
        align, span = ("center", f' colspan="{n}"') if n > 1 else (side, "")
        blank = "&#8199;" * (short_by(text, most[start]) if n == 1 else 0)  # figure spaces, as wide as digits
        out.append(f'<td{span}{_words(text)} style="text-align:{align}">{_hanging(text, block, n)}{blank}</td>')
    return "".join(out)


def _hanging(text: str, block: Table, n: int) -> str:
    """A cell whose last characters, stars and brackets, hang out to the right of the column of digits."""
    if not block.hang or n > 1 or len(text) <= block.hang or not text.strip():
        return html.escape(text.strip())
    body, tail = text[: -block.hang], text[-block.hang :].strip()
    box = f"display:inline-block;width:{0.55 * block.hang:.3g}em;text-align:left"
    return f'{html.escape(body.strip())}<span style="{box}">{html.escape(tail)}</span>'


# ---- Markdown and CSV


def _md(text: str) -> str:
    """Text as it is: no emphasis, tags, mathematics, links or cell borders where a name holds their characters."""
    escaped = re.sub(r"([\\`*|<$~])", r"\\\1", text.strip())
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)  # within a word it is only itself
    return re.sub(r"&(?=#?\w+;)", "&amp;", escaped).replace("](", "]\\(")


def _repeated(row: Row) -> list[str]:
    """Cells, those over several columns once for each."""
    return [text.strip() for _, n, text in expanded(row) for _ in range(n)]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_md, cells)) + " |"


def markdown_report(title: str, blocks: Sequence[Block]) -> str:
    """Markdown with pipe tables."""
    out = [f"### {_md(title)}", ""] if title else []
    for block in blocks:
        if isinstance(block, Pairs):
            out += ["| | | | |", "|:--|--:|:--|--:|"]
            out += [_markdown_row([cell for pair in pairs for cell in pair]) for pairs in block.rows]
        elif isinstance(block, Table):
            align = [":--", *["--:"] * (len(block.header) - 1)]
            if block.text_last:
                align[-1] = ":--"
            first, *others = [_markdown_row(_repeated(row)) for row, _ in heads(block)]
            out += [first, "|" + "|".join(align) + "|", *others]
            for section, rows in block.sections:
                if section:
                    out.append(f"| *{_md(section)}* |" + " |" * (len(block.header) - 1))
                out += [_markdown_row(_repeated(row)) for row in rows]
        elif block.numbered:
            out += [f"{number}. {_md(note)}" for number, note in enumerate(block.lines, 1)]
        else:
            out.append("  \n".join(map(_md, block.lines)))
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def csv_report(title: str, blocks: Sequence[Block]) -> str:
    """Comma-separated values; titles of sections are a first column."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if title:
        writer.writerow([title])
    for block in blocks:
        if isinstance(block, Pairs):
            writer.writerows([label, value] for label, value in (*block.left, *block.right))
        elif isinstance(block, Table):
            titled = any(t for t, _ in block.sections)
            above = [_repeated(row) for row, _ in heads(block)]
            writer.writerows(["section", *row] if titled else row for row in above)
            for section, rows in block.sections:
                writer.writerows([section, *_repeated(row)] if titled else _repeated(row) for row in rows)
        else:
            writer.writerows(["note", note] for note in block.lines)
    return buffer.getvalue()
