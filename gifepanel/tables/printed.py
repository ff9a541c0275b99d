"""What prints itself in every format."""

from __future__ import annotations

from collections.abc import Sequence

from gifepanel.tables.blocks import Block
from gifepanel.tables.render import render

__all__ = ["Printed"]


class Printed:
    """A title and blocks; mixed in before statsmodels' class."""

    def _content(self, fmt: str) -> tuple[str, Sequence[Block]]:
        """Title and blocks as they are in the format."""
        raise NotImplementedError

    def as_text(self) -> str:
        """Text of at most 78 columns.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> print(gife.compare(res).as_text().splitlines()[0].strip())
        Dependent variable: sales
        """
        return render(*self._content("text"), "text")

    def as_html(self) -> str:
        """An HTML fragment with a style of its own; it takes the colours of the page it is in.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> "<table" in gife.compare(res).as_html()
        True
        """
        return render(*self._content("html"), "html")

    def as_latex(self, label: str = "") -> str:
        r"""A LaTeX table environment; the preamble needs ``\usepackage{booktabs}``.

        Parameters
        ----------
        label : str
            What ``\ref`` calls the table.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> "tabular" in gife.compare(res).as_latex()
        True
        """
        text = render(*self._content("latex"), "latex")
        return text.replace(r"\end{table}", rf"\label{{{label}}}" + "\n" + r"\end{table}") if label else text

    def as_markdown(self) -> str:
        """Markdown with pipe tables.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> print(gife.compare(res, stats=["Observations"]).as_markdown().splitlines()[-3])
        | Observations | 1,380 |
        """
        return render(*self._content("markdown"), "markdown")

    def as_csv(self) -> str:
        """Comma-separated values.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> print(gife.compare(res, stats=["Observations"]).as_csv().splitlines()[-1])
        note,"Standard errors in parentheses. * p<0.1, ** p<0.05, *** p<0.01."
        """
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
