"""The navigation beside each page, resolved once: Sphinx would copy the tree of all pages for every one of them.

What differs between pages is which entry is the current one and where links start from; both are written into the text.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

TAG = re.compile(r"<(/?)(li|ul)\b([^>]*)>")
LINK = re.compile(r'(<a class=")([^"]*)(" href=")([^"]*)(")')


def navigation(tree: str, uri: str) -> str:
    """The tree as it stands beside the page `uri`; `tree` has links from the root, and no current page."""
    own = next((link for link in LINK.finditer(tree) if link[4] == uri), None)
    marked = tree if own is None else _with_path(tree, own.start())

    def link(found: re.Match[str]) -> str:
        if found[4] == uri:
            return f"{found[1]}current {found[2]}{found[3]}#{found[5]}"
        outside = re.match(r"[a-z]+:|#", found[4])
        target = found[4] if outside else relative_uri(uri, found[4])
        return f"{found[1]}{found[2]}{found[3]}{target}{found[5]}"

    return LINK.sub(link, marked)


def _with_path(tree: str, position: int) -> str:
    """Lists and entries around a position are those of the current page."""
    around: list[re.Match[str]] = []
    for tag in TAG.finditer(tree, 0, position):
        if tag[1]:
            around.pop()
        else:
            around.append(tag)
    for tag in reversed(around):
        named = re.search(r'class="([^"]*)"', tag[3])
        text = (
            f'<{tag[2]} class="{named[1]} current">'
            if named
            else f'<{tag[2]} class="current">'
        )
        tree = tree[: tag.start()] + text + tree[tag.end() :]
    return tree


def share(
    trees: dict[Any, str],
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: Any,
) -> None:
    """Answer the theme's question for the tree of all pages from one that is kept."""
    if "toctree" not in context:
        return

    def toctree(**options: Any) -> str:
        key = tuple(sorted(options.items()))
        if key not in trees:
            trees[key] = str(
                app.builder._get_local_toctree("genindex", **options)  # type: ignore[attr-defined]
            )
        return navigation(trees[key], app.builder.get_target_uri(page))

    context["toctree"] = toctree


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the theme asks."""
    app.connect("html-page-context", partial(share, {}), priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
