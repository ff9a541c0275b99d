"""A file that names two columns alike: readers rename the second without a word."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.cli import main
from gifepanel.exceptions import DataWarning

ROWS = "\n".join(f"{i};{t};{i * t % 7 + 0.5};{(i + t) % 5};{i * i % 3 + t % 2}" for i in range(8) for t in range(6))


def written(path: Path, header: str, separator: str = ",") -> Path:
    path.write_text(f"{header}\n{ROWS}\n".replace(";", separator), encoding="utf-8")
    return path


@pytest.mark.parametrize(("engine", "second"), [("memory", "x.1"), ("lazy", "x_1")])
@pytest.mark.parametrize("separator", [",", ";"])
def test_path(tmp_path: Path, engine: str, second: str, separator: str) -> None:
    path = written(tmp_path / "two.csv", 'i;t;y;x;"x"', separator)
    with pytest.warns(DataWarning, match=rf"two.csv has names twice: column 5, 'x', is '{second}' here"):
        gife.PartialledOLS.from_formula("y ~ x | i", path, engine=engine)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "two.csv", "i;t;y;x; x", ";")
    main(["fit", "y ~ x | i", str(path), "--entity", "i", "--time", "t"])
    assert "has names twice: column 5, 'x'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("engine", ["memory", "lazy"])
def test_several_files(tmp_path: Path, engine: str) -> None:
    paths = [written(tmp_path / f"{name}.csv", "i;t;y;x;x") for name in ("one", "two")]
    with pytest.warns(DataWarning, match=r"one.csv has names twice: column 5"):
        gife.PartialledOLS.from_formula("y ~ x | i", [str(path) for path in paths], engine=engine)


@pytest.mark.parametrize(("header", "told"), [("i;t;y;x;x", True), ("i;t;y;x;x.1", False), ("i;t;y;x;z", False)])
def test_excel(tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, told: bool) -> None:
    pytest.importorskip("openpyxl")
    cells = [[float(cell) for cell in line.split(";")] for line in ROWS.splitlines()]
    path = tmp_path / "two.xlsx"
    pd.DataFrame([header.strip().split(";"), *cells]).to_excel(path, header=False, index=False)
    main(["fit", "y ~ x | i", str(path), "--entity", "i", "--time", "t"])
    assert ("has names twice: column 5, 'x', is 'x.1' here" in " ".join(capsys.readouterr().err.split())) is told


def test_row_labels_and_tabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.tsv"
    lines = ["\ti\tt\ty\tx\tx", *(f"{j}\t{line}".replace(";", "\t") for j, line in enumerate(ROWS.splitlines()))]
    path.write_text("\n".join(lines), encoding="utf-8")
    main(["fit", "y ~ x | i", str(path), "--entity", "i", "--time", "t"])
    assert "has names twice: column 6, 'x'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("header", ["i;t;y;x;z", "i;t;y;x;x.1", 'i;t;y;x;"a, b"'])
@pytest.mark.parametrize("engine", ["memory", "lazy"])
def test_names_of_their_own(tmp_path: Path, header: str, engine: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gife.PartialledOLS.from_formula("y ~ x | i", written(tmp_path / "own.csv", header, ";"), engine=engine)
