"""Formulas as MathML: written at build time, drawn by the browser, without scripts, fonts or a network."""

from __future__ import annotations

import re
from html import escape
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

SPACE = "{http://www.w3.org/1998/Math/MathML}"
PRIME, BARS = "\u2032", "\u2016"
LIMITS = {"min", "max", "argmin", "argmax", "inf", "sup", "lim"}

ElementTree.register_namespace("", SPACE[1:-1])


def to_mathml(latex: str, display: str) -> str:
    """One formula; ``\\\\`` outside of an environment means aligned lines, as in Sphinx's own renderers."""
    text = latex.strip()
    if display == "block" and r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    text = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{align*}", text)
    text = re.sub(
        r"\\operatorname\*?\{arg\\,(min|max)\}", r"\\operatorname{arg\1}", text
    )
    root = ElementTree.fromstring(convert(text, display=display))
    _tidy(root, display)
    root.set("aria-label", " ".join(latex.split()))
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(node: ElementTree.Element, display: str) -> None:
    """Primes at full size, bars that do not stretch, limits below their operators."""
    for child in node:
        _tidy(child, display)
    tag, children = node.tag.removeprefix(SPACE), list(node)
    if tag == "mo" and node.text == BARS:
        node.set("stretchy", "false")
    if (
        tag == "msub"
        and display == "block"
        and (children[0].text or "").replace("\u2009", "") in LIMITS
    ):
        node.tag = f"{SPACE}munder"
    if tag == "mo" and node.text in LIMITS and node.text.startswith("arg"):
        node.text = f"{node.text[:3]}\u2009{node.text[3:]}"
    if tag in ("msup", "msubsup") and children[-1].text == PRIME:
        prime = ElementTree.Element(
            f"{SPACE}mo", {"lspace": "0", "rspace": "0", "class": "prime"}
        )
        prime.text = PRIME
        base = children[0]
        if tag == "msubsup":
            base = ElementTree.Element(f"{SPACE}msub")
            base.extend(children[:2])
        node.tag = f"{SPACE}mrow"
        node[:] = [base, prime]


def visit_math(translator: Any, node: nodes.math) -> None:
    """In a line of text."""
    translator.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: nodes.math_block) -> None:
    """A line of its own, which can be wider than a narrow window."""
    number = (
        f'<span class="eqno">({escape(str(node["number"]))})</span>'
        if node.get("number")
        else ""
    )
    anchor = f' id="{node["ids"][0]}"' if node["ids"] else ""
    translator.body.append(
        f'<div class="formula"{anchor}>{number}{to_mathml(node.astext(), "block")}</div>\n'
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
