"""What prints itself in every format."""

from __future__ import annotations

from collections.abc import Sequence

from gifepanel.tables.blocks import Alternatives, Block
from gifepanel.tables.render import render
from gifepanel.tables.text_width import NARROWEST, WIDTH, page_width

__all__ = ["Printed"]


class Printed:
    """A title and blocks; mixed in before statsmodels' class."""

    _stretched = True  # whether text is as wide as the page, whatever its tables need
    _widest = WIDTH  # columns of text in a terminal that has more
    _escape = True  # whether names are text in LaTeX, where nothing else is said

    def _content(self, fmt: str) -> tuple[str, Sequence[Block | Alternatives]]:
        """Title and blocks as they are in the format."""
        raise NotImplementedError

    def as_text(self, width: int | None = None) -> str:
        """Text of at most 78 columns, in a narrower terminal of as many as it has.

        Parameters
        ----------
        width : int, optional
            Columns, from 60 on; without it those of the terminal, up to 78, which they are where there is no terminal.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> print(gife.compare(res).as_text().splitlines()[0].strip())
        Dependent variable: sales
        """
        columns = page_width(self._widest) if width is None else max(NARROWEST, width)
        return render(*self._content("text"), "text", width=columns, stretch=self._stretched)

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

    def as_latex(self, label: str = "", *, escape: bool | None = None) -> str:
        r"""LaTeX that fits a page of an article at 10 points; the preamble needs ``\usepackage{booktabs}``.

        Numbers stand under each other at the point, notes are as wide as the table. What no page holds is continued in
        a second table environment.

        Parameters
        ----------
        label : str
            What ``\ref`` calls the table.
        escape : bool, optional
            Whether names are text, as they are by default. False takes mathematics and commands in them as LaTeX,
            ``$\beta_1$``, ``\textit{a}``; outside of it ``&``, ``%``, ``#`` and ``_`` are escaped all the same.

        Examples
        --------
        >>> import gifepanel as gife
        >>> cigar = gife.datasets.load_cigar()
        >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
        >>> "tabular" in gife.compare(res).as_latex()
        True
        """
        return render(*self._content("latex"), "latex", escape=self._escape if escape is None else escape, label=label)

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
