"""Tables of results: blocks of rows, set as text, HTML, LaTeX, Markdown and CSV."""
