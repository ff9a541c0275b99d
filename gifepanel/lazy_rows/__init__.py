"""Rows that stay where the data live: files, databases and lazy frames, asked by group-bys and joins of narwhals."""
