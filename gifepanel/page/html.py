"""The page around a report: its head, its style, its contents. No scripts, nothing from elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gifepanel.page.svg import colour_variables
from gifepanel.tables.markup import STYLE

__all__ = ["Section", "details", "figure", "page", "paragraph", "scrolling"]


@dataclass(frozen=True)
class Section:
    """A section: `body` is HTML; short ones do not begin a new page in print."""

    id: str
    title: str
    body: str
    short: bool = False


_LIGHT = "--paper:#fff;--ink:#1b1d21;--soft:#565b63;--rule:#c9ccd1;--shade:#f4f5f7;--link:#0a58a6;--alarm:#a01c00;"
_DARK = "--paper:#16191d;--ink:#ececea;--soft:#a9afb8;--rule:#444a53;--shade:#20242a;--link:#7db8f5;--alarm:#ff9a7d;"

_STYLE = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.5;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:64rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.2rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem;text-wrap:balance}
h2{font-size:1.25rem;line-height:1.3;margin:0 0 .9rem;padding-top:.7rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.6rem 0 .5rem}
p{margin:.5rem 0;max-width:46rem}
a{color:var(--link)}
section{margin:2.4rem 0 0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.9em}
.formula{margin:.2rem 0;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.alarm{border-left:4px solid var(--alarm);padding:.4rem .9rem;background:var(--shade);font-weight:600}
dl.key{display:flex;flex-wrap:wrap;gap:.7rem 2.2rem;margin:1.2rem 0;padding:0}
dl.key div{min-width:5rem}
dl.key dt{font-size:.8125rem;color:var(--soft)}
dl.key dd{margin:0;font-size:1.125rem;font-weight:600;font-variant-numeric:tabular-nums}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.3rem;margin:0;padding:0}
nav h2{border:0;padding:0;margin:0 0 .2rem;font-size:.8125rem;font-weight:400;color:var(--soft)}
nav a{display:inline-block;padding:.2rem 0}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible,.gifepanel:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--link);
outline-offset:2px}
.gifepanel{font-size:.9375rem}
.gifepanel table caption{text-align:left;font-weight:600;padding:.2em 0 .4em}
table.listing td{text-align:right}
table.listing th{text-align:left}
table.listing thead th+th{text-align:right}
table.listing td.text,table.listing thead th.text{text-align:left}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(27rem,100%),1fr));gap:1.6rem 2rem;
align-items:start;margin:1.2rem 0}
figure{margin:0;min-width:0}
figure.wide{grid-column:1/-1}
figure svg{display:block;width:100%;max-width:calc(1.15*var(--width));height:auto;
stroke-linejoin:round;stroke-linecap:butt;background:var(--paper);fill:var(--ink)}
figure.wide svg{min-width:min(var(--width),40rem)}
figure svg text{fill:var(--ink);stroke:var(--paper);stroke-width:1.6px;paint-order:stroke;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,"DejaVu Sans",sans-serif}
figcaption{font-size:.875rem;color:var(--soft);margin-top:.35rem;max-width:40rem}
figcaption b{color:var(--ink);font-weight:600}
details{margin:.9rem 0}
summary{cursor:pointer;color:var(--link);width:fit-content}
details[open]>summary{margin-bottom:.5rem}
pre{background:var(--shade);padding:.9rem 1rem;overflow-x:auto;border-radius:4px;line-height:1.45;margin:.6rem 0}
footer{margin:2.6rem auto 2rem;font-size:.8125rem;color:var(--soft)}
@media (max-width:40rem){
main,header,footer{padding-left:1rem;padding-right:1rem}
.gifepanel{font-size:.875rem}
.gifepanel table th,.gifepanel table td{padding-left:.4em;padding-right:.4em}
.gifepanel table .gifepanel-words{min-width:14em}
.gifepanel table.gifepanel-info,.gifepanel-info tbody{display:block;width:100%}
.gifepanel table.gifepanel-info tr{display:grid;grid-template-columns:auto 1fr}
.gifepanel table.gifepanel-info :is(th,td):empty{display:none}
.gifepanel table.gifepanel-info td:nth-child(2){padding-right:.4em}
.gifepanel table.gifepanel-info :is(th,td){white-space:normal}
}
@media print{
@page{margin:16mm 14mm}
html{font-size:10.5pt}
body{font-size:10.5pt}
main,header,footer{max-width:none;padding:0}
header{padding-top:0}
section{margin-top:1.4rem;break-before:page}
section.short,section:first-of-type{break-before:auto}
section.short{break-inside:avoid}
h2,h3,caption,summary{break-after:avoid}
figure,pre,tr,dl.key,.alarm{break-inside:avoid}
table.gifepanel-info,table.gifepanel-table{break-inside:avoid}
thead{display:table-header-group}
.figures{display:block;margin:.8rem 0;orphans:1;widows:1}
figure{display:inline-block;vertical-align:top;width:48.5%;margin:0 1% 1rem 0}
figure.wide{width:100%;margin-right:0}
figure:only-child:not(.wide){width:75%}
figure svg{max-width:min(100%,var(--width));max-height:200mm}
figure.wide svg{min-width:0}
figcaption{font-size:8.5pt}
summary{color:inherit}
.scroll,.gifepanel{overflow:visible}
.gifepanel{font-size:9pt}
.gifepanel table th,.gifepanel table td{padding-left:.45em;padding-right:.45em}
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--rule)}
a{color:inherit;text-decoration:none}
}
"""


def page(title: str, head: str, sections: Sequence[Section], foot: str) -> str:
    """The whole page.

    Parameters
    ----------
    title : str
    head, foot : str
        HTML above the contents, and at the end.
    sections : sequence of Section

    Returns
    -------
    str
    """
    links = "\n".join(f'<li><a href="#{one.id}">{html.escape(one.title)}</a></li>' for one in sections)
    body = "\n".join(_section(one) for one in sections)
    light, dark = colour_variables(body)
    rules = STYLE.removeprefix("<style>").removesuffix("</style>")
    colours = f":root{{{_LIGHT}{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}{dark}}}}}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="gifepanel">
<title>{html.escape(title)}</title>
<style>
{colours}
{rules}
{_STYLE.strip()}
</style>
</head>
<body>
<header>
{head}
<nav aria-labelledby="contents">
<h2 id="contents">Contents</h2>
<ul>
{links}
</ul>
</nav>
</header>
<main>
{body}
</main>
<footer>
{foot}
</footer>
</body>
</html>
"""


def _section(one: Section) -> str:
    look = ' class="short"' if one.short else ""
    return (
        f'<section id="{one.id}"{look} aria-labelledby="{one.id}-title">\n'
        f'<h2 id="{one.id}-title">{html.escape(one.title)}</h2>\n{one.body}\n</section>'
    )


# ---- pieces


def paragraph(text: str, look: str = "") -> str:
    """A sentence or more; `look` is a class."""
    return f'<p class="{look}">{html.escape(text)}</p>' if look else f"<p>{html.escape(text)}</p>"


def scrolling(inner: str, label: str) -> str:
    """What may be wider than the page: it scrolls by itself, with the keyboard too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(label)}">\n{inner}\n</div>'


def details(summary: str, inner: str) -> str:
    """What is shown when asked for."""
    return f"<details>\n<summary>{html.escape(summary)}</summary>\n{inner}\n</details>"


def figure(number: int, svg: str, caption: str) -> str:
    """A figure with its number; wide ones have a row of their own."""
    found = re.search(r"--width:([\d.]+)pt", svg)
    wide = found is not None and float(found[1]) > 480
    inner = scrolling(svg, f"Figure {number}") if wide else svg
    text = f"<figcaption><b>Figure {number}.</b> {html.escape(caption)}</figcaption>"
    look = ' class="wide"' if wide else ""
    return f'<figure id="figure-{number}"{look}>\n{inner}\n{text}\n</figure>'
