"""Paths given to models: lines that fix what is wrong read the files first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import GifepanelError


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    firms, years = np.repeat([f"f{i}" for i in range(12)], 10), np.tile(np.arange(2000, 2010), 12)
    columns = dict(zip(["y", "x", "w"], rng.standard_normal((3, 120)), strict=True))
    return pd.DataFrame({"firm": firms, "year": years, **columns})


@pytest.mark.parametrize("files", ["one.parquet", "one.csv", ["a.parquet", "b.parquet"]])
@pytest.mark.parametrize("fault", ["weights", "pairs"])
@pytest.mark.parametrize("model", ["InteractiveFE", "GroupedIFE", "PartialledOLS"])
def test_the_fix_reads_the_files(model: str, fault: str, files: Any, tmp_path: Path) -> None:
    if (model, fault) == ("PartialledOLS", "pairs"):
        pytest.skip("a pair may occur twice there")
    frame = rows() if fault == "weights" else pd.concat([rows(), rows().tail(1)])
    named = [files] if isinstance(files, str) else files
    for name, part in zip(named, np.array_split(np.arange(len(frame)), len(named)), strict=True):
        own = frame.iloc[part]
        (own.to_csv if name.endswith("csv") else own.to_parquet)(tmp_path / name, index=False)
    data: Any = [str(tmp_path / name) for name in named]
    data = data[0] if len(data) == 1 else data
    options: dict[str, Any] = {"engine": "memory"} if model == "PartialledOLS" else {"n_factors": 1}
    options |= {"n_groups": 2} if model == "GroupedIFE" else {}
    options |= {"weights": "w"} if fault == "weights" else {}

    def build(source: Any) -> Any:
        made = getattr(gife, model)
        return made.from_formula("y ~ x | firm", source, entity="firm", time="year", **options)

    with pytest.raises(GifepanelError) as caught:
        build(data)
    assert caught.value.fix is not None and caught.value.fix in str(caught.value)
    names: dict[str, Any] = {"data": data}
    exec(caught.value.fix, names)
    assert build(names["data"]).nobs > 40


def test_a_fix_that_asks_for_no_frame_stays_as_it_is(tmp_path: Path) -> None:
    rows().to_parquet(tmp_path / "one.parquet", index=False)
    with pytest.raises(GifepanelError) as caught:
        gife.InteractiveFE.from_formula("y ~ x", tmp_path / "one.parquet", entity="frm", time="year")
    assert caught.value.fix == 'entity="firm"'
