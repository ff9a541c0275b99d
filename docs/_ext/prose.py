"""Printed prose, such as messages of errors, wraps on the page; what has columns keeps them and scrolls."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

COLUMNS = re.compile(r"\S {3,}\S|[=─-]{6,}|^ {2,}\S", re.MULTILINE)
GOES_ON = re.compile(r"[\w,;:'\"–-]$")
CODE = re.compile(
    r'<div class="highlight-bash.*?</pre>|<code class="docutils.*?</code>', re.DOTALL
)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*\b")
PRINTED = ("text", "none", "myst-ansi", "ipythontb", "pytb")


def is_prose(text: str) -> bool:
    """Whether nothing in it stands below something else."""
    return COLUMNS.search(text) is None


def is_flowing(text: str) -> bool:
    """Whether it is a paragraph whose lines end where there was no more room, and not where a sentence or row does."""
    lines = text.strip().splitlines()
    return len(lines) > 1 and all(
        len(line) > 65 and GOES_ON.search(line) for line in lines[:-1]
    )


def has_sentences(text: str) -> bool:
    """Whether the lines that a wide page does not hold are sentences, beside columns that it does."""
    long = [line for line in text.splitlines() if len(line) > 90]
    return bool(long) and all(is_prose(line) for line in long)


def mark(app: Sphinx, doctree: nodes.document) -> None:
    """Give blocks of prose a class of their own."""
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") in PRINTED and is_prose(block.astext()):
            block["classes"].append("prose")
            if is_flowing(block.astext()):
                block["classes"].append("flowing")
        elif block.get("language") in PRINTED and has_sentences(block.astext()):
            block["classes"].append("sentences")


def keep_options(
    app: Sphinx, name: str, template: str, context: dict[str, Any], tree: Any
) -> None:
    """Options of a shell are not broken after their hyphens."""
    if "body" in context:
        context["body"] = CODE.sub(
            lambda code: OPTION.sub(
                r'<span class="shell-option">\g<0></span>', code[0]
            ),
            context["body"],
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect."""
    app.connect("doctree-read", mark)
    app.connect("html-page-context", keep_options)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
