"""Which members the pages of classes show: those that tab completion shows, of this package's own."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from gifepanel.statsmodels_bridge.shown_names import _FOR_CODE, _ONLY_RESULTS, _refuses


def skip(
    app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any
) -> bool | None:
    """Leave out what statsmodels documents itself, what is there for other code, and what only says no."""
    if what != "class" or skipped:
        return None
    function = (
        getattr(obj, "fget", None)
        or getattr(obj, "func", None)
        or getattr(obj, "__func__", None)
        or obj
    )
    module = getattr(function, "__module__", None) or ""
    hidden = name in _FOR_CODE or (
        name in _ONLY_RESULTS and module.startswith("gifepanel.models")
    )
    return (
        True if hidden or _refuses(obj) or not module.startswith("gifepanel") else None
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
