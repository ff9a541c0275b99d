"""The panel as a file, for all tests of rows elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lazy_rows.panels import panel


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The panel as a Parquet file."""
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    out = tmp_path_factory.mktemp("lazy") / "panel.parquet"
    panel().to_parquet(out)
    return out
