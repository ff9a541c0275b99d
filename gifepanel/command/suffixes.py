"""Kinds of files by their suffix."""

from __future__ import annotations

__all__ = ["COMPRESSED", "OTHERS", "SUFFIXES", "TEXT"]

TEXT = (".csv", ".tsv", ".txt", ".tab")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
OTHERS: dict[str, tuple[str, str | None]] = {  # function of pandas, package that it needs
    ".parquet": ("read_parquet", "pyarrow"),
    ".feather": ("read_feather", "pyarrow"),
    ".xlsx": ("read_excel", "openpyxl"),
    ".xls": ("read_excel", "xlrd"),
    ".dta": ("read_stata", None),
    ".sas7bdat": ("read_sas", None),
    ".xpt": ("read_sas", None),
    ".sav": ("read_spss", "pyreadstat"),
}
SUFFIXES = (*TEXT, *OTHERS)
