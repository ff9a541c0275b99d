"""Formula functions in lower case: ``gifepanel.formula.api``."""

from gifepanel.formula import api

__all__ = ["api"]
