"""What prints itself in every format."""

from __future__ import annotations

from collections.abc import Sequence

from gifepanel.results.blocks import Block, render

__all__ = ["Printed"]


class Printed:
    """A title and blocks; mixed in before statsmodels' class."""

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        """Title and blocks as they are in the format."""
        raise NotImplementedError

    def as_text(self) -> str:
        """Text of at most 78 columns."""
        return render(*self._content("text"), "text")

    def as_html(self) -> str:
        """An HTML fragment with a style of its own; it takes the colours of the page it is in."""
        return render(*self._content("html"), "html")

    def as_latex(self, label: str = "") -> str:
        r"""A LaTeX table environment; the preamble needs ``\usepackage{booktabs}``."""
        text = render(*self._content("latex"), "latex")
        return text.replace(r"\end{table}", rf"\label{{{label}}}" + "\n" + r"\end{table}") if label else text

    def as_markdown(self) -> str:
        """Markdown with pipe tables."""
        return render(*self._content("markdown"), "markdown")

    def as_csv(self) -> str:
        """Comma-separated values."""
        return render(*self._content("csv"), "csv")

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_latex_(self) -> str:
        return self.as_latex()

    def _repr_markdown_(self) -> str:
        return self.as_markdown()
