"""Names that a formula may use besides columns."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from gifepanel.exceptions import SpecificationError
from gifepanel.panel.allowed import OnlyKnown

__all__ = ["capture_context"]


def capture_context(context: int | Mapping[str, Any] | None, depth: int = 1) -> Mapping[str, Any]:
    """Names a formula may use besides columns.

    Parameters
    ----------
    context : int, mapping or None
        A mapping of names; or how many frames above the caller of the calling function to look (0: that
        caller); None: NumPy's functions, and nothing else runs (see ``gifepanel.panel.allowed``).
    depth : int
        Frames between here and the function whose caller is meant by 0.

    Returns
    -------
    mapping
        A snapshot: globals of that frame, its locals on top.
    """
    if context is None:
        return OnlyKnown()
    if isinstance(context, Mapping):
        return context
    try:
        frame = sys._getframe(context + depth + 1)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"context is {context!r}",
            "it is how many frames above the caller names are looked up, a mapping of names, or None",
            "context=0",
        ) from None
    return {**frame.f_globals, **frame.f_locals}
