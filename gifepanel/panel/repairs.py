"""Lines of code that repair data: on a column, a level of the index, an array, a frame that is not pandas'."""

from __future__ import annotations

__all__ = ["prepared", "with_column", "without_rows"]


def prepared(source: str) -> str:
    """What has to come before a line of pandas."""
    return "data = data.to_pandas(); " if source == "foreign" else ""


def with_column(name: str, code: str, source: str, *, before: str = "") -> str:
    """A line that replaces an id by ``code``; both write ``{}`` for the column.

    Parameters
    ----------
    name : str
        Of the column or index level.
    code : str
    source : {"index", "unnamed index", "columns", "foreign", "arrays", "cubes"}
        Where it is.
    before : str
        A statement that comes first.
    """
    column = f'data["{name}"]'
    if source in ("arrays", "cubes"):
        column = "pd.Series(time)"
        return "; ".join(part for part in (before.format(column), f"time = {code.format(column)}") if part)
    lines = [before.format(column), f"{column} = {code.format(column)}"]
    line = "; ".join(part for part in lines if part)
    if "index" in source:
        named = 'data = data.rename_axis(["entity", "time"]); ' if source == "unnamed index" else ""
        return (
            f'{named}order = data.index.names; data = data.reset_index(level="{name}"); {line}; '
            f'data = data.set_index("{name}", append=True).reorder_levels(order)'
        )
    return prepared(source) + line


def without_rows(names: list[str], source: str) -> str:
    """A line that leaves rows out in which an id is missing."""
    if "index" in source:
        named = 'data = data.rename_axis(["entity", "time"]); ' if source == "unnamed index" else ""
        checks = [f'data.index.get_level_values("{name}").notna()' for name in names]
        return f"{named}data = data[{' & '.join(checks)}]"
    return prepared(source) + f"data = data.dropna(subset=[{', '.join(repr(n) for n in names)}])".replace("'", '"')
