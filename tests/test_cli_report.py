"""``--report``: the page from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gifepanel
from gifepanel import cli
from gifepanel.datasets import simulate
from gifepanel.page import pictures
from gifepanel.results.shared_methods import ReportedResults


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "panel.csv"
    simulate("S", 20, 15, random_state=2).data.to_csv(path)
    return path


def arguments(file: Path, *more: str) -> list[str]:
    ids = ["--entity", "entity", "--time", "time", "--groups", "2", "--factors", "1"]
    return ["fit", "y ~ 0 + x1 + x2", str(file), *ids, *more]


@pytest.fixture
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture is drawn, the others say what they would be."""
    drawn = pictures._drawn

    def named(res: Any, picture: pictures.Picture, number: int) -> str:
        if number == 1:
            return drawn(res, picture, number)
        return f"<svg>{number} {picture.name} {picture.arguments} {list(res.params)}</svg>"

    monkeypatch.setattr(pictures, "_drawn", named)


def test_the_page_is_that_of_the_fit(file: Path, one_picture: None, capsys: pytest.CaptureFixture[str]) -> None:
    page = file.with_name("report.html")
    assert cli.main(arguments(file, "--report", str(page), "--seed", "3")) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.endswith(f"\nThe report is in {page}\n") and out.count("Grouped Interactive") == 1
    model = gifepanel.GroupedIFE.from_formula(
        "y ~ 0 + x1 + x2", pd.read_csv(file), entity="entity", time="time", n_groups=2, n_factors=1
    )
    text = page.read_text("utf-8")
    assert text == model.fit(random_state=3).report() and text.count("<svg") >= 8


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages in no time."""

    def report(self: Any, path: Path) -> None:
        Path(path).write_text(str(self.loadings.index[0]))

    monkeypatch.setattr(ReportedResults, "report", report)


def test_quiet_with_a_page_alone(file: Path, stub: None, capsys: pytest.CaptureFixture[str]) -> None:
    page = file.with_name("report.html")
    assert cli.main(arguments(file, "--report", str(page), "--quiet")) == 0
    assert capsys.readouterr() == ("", "") and page.exists()


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere/report.html", "There is no directory"), ("report.pdf", "A report is HTML")]
)
def test_pages_that_can_not_be_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    monkeypatch.setattr(cli, "_read", lambda *_: pytest.fail("work has begun"))
    assert cli.main(arguments(file, "--report", str(file.with_name("x").parent / name))) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("gifepanel: --report: ") and words in err and err.count("\n") == 1
    assert cli.main(["demo", "--report", str(file.parent / name)]) == 2
    assert capsys.readouterr().out == ""


def test_demo(tmp_path: Path, stub: None, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "demo.html"
    assert cli.main(["demo", "--report", str(page)]) == 0
    assert f"The report is in {page}" in capsys.readouterr().out
    assert page.read_text() == "Alabama"
