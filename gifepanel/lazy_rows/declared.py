"""Categories with levels in an order of their own, which DuckDB does not read from Parquet files and Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["declared_in_files", "declared_in_table"]


def declared_in_table(table: Any) -> dict[str, Any]:
    """Types of the columns of a pyarrow table that are categories.

    Returns
    -------
    dict of str to narwhals dtype
        Levels in order for text. Numbers as categories are unknown: not the numbers that DuckDB takes them for.
    """
    import narwhals.stable.v2 as nw

    levels = {name: _levels(table.column(name).unify_dictionaries()) for name in _categories(table.schema)}
    return {name: nw.Unknown() if own is None else nw.Enum(own) for name, own in levels.items()}


def declared_in_files(files: Sequence[str]) -> dict[str, Any]:
    """The same of Parquet files, of columns that are the same categories in all of them, as pandas joins them.

    Categories without an order of their own are the same in another sequence: the first file's.
    """
    import narwhals.stable.v2 as nw
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = []
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                names = _categories(opened.schema_arrow)
                batch = next(opened.iter_batches(batch_size=1, columns=names), None) if names else None
        except (OSError, pa.ArrowException):  # not on this disk, or no file of pyarrow's: DuckDB says what it is
            return {}
        if batch is None:
            return {}
        found.append({name: _told(batch.column(name)) for name in names})
    alike = {name: own for name, own in found[0].items() if all(_are_same(one.get(name), own) for one in found)}
    return {name: nw.Enum(levels) for name, (levels, _) in alike.items() if levels is not None}


def _told(column: Any) -> tuple[list[str] | None, bool]:
    """Levels of an array of pyarrow's, and whether their order means something."""
    import pyarrow as pa

    return _levels(pa.chunked_array([column])), bool(column.type.ordered)


def _are_same(one: tuple[list[str] | None, bool] | None, other: tuple[list[str] | None, bool]) -> bool:
    if one is None or None in (one[0], other[0]) or one[1] != other[1]:
        return False
    return one == other if one[1] else set(one[0] or ()) == set(other[0] or ())


def _categories(schema: Any) -> list[str]:
    """Names of categories, but those of Polars whose levels have no order."""
    import pyarrow as pa

    return [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type)
        and not any(key.startswith(b"_PL_CATEGORICAL") for key in field.metadata or {})
    ]


def _levels(column: Any) -> list[str] | None:
    """Levels of a column of pyarrow's, in order; None where they are no text."""
    levels = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
    return levels if all(isinstance(one, str) for one in levels) else None
