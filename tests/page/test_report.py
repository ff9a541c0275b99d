"""The page of a fit: what is on it, that it needs nothing else, and that its code gives its numbers."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.datasets import load_cigar, simulate
from gifepanel.exceptions import SpecificationError, SpecificationWarning
from gifepanel.page import pictures as report_pictures
from gifepanel.page.html import _DARK, _LIGHT
from tests.conftest import DEMAND

VOID = {"meta", "link", "br", "hr", "img", "input", "base", "embed", "source"}


class Page(HTMLParser):
    """Elements with their attributes, tables as text by section; tags that don't match raise."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.words: list[str] = []
        self._open: list[str] = []
        self._section = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert len(given) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, given))
        if tag == "section":
            self._section = given["id"]
        if tag == "table":
            self.tables.setdefault(self._section, []).append([])
        if tag == "tr":
            self.tables[self._section][-1].append([])
        if tag in ("td", "th"):
            self.tables[self._section][-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self._open):
            self.words.append(data)
        if {"td", "th"} & set(self._open):
            self.tables[self._section][-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def sections(self) -> list[str]:
        return [given["id"] for given in self.all("section")]


@pytest.fixture(scope="session")
def linear() -> Any:
    model = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", load_cigar())
    return model.fit(cov_type="cluster", cov_kwds={"groups": "state"})


@pytest.fixture(scope="session")
def texts(grouped: Any, single: Any, mixed: Any, linear: Any) -> dict[str, str]:
    """Pages of four models, each made once."""
    fits = {"grouped": grouped, "single": single, "mixed": mixed, "linear": linear}
    return {name: fit.report() for name, fit in fits.items()}


@pytest.fixture(params=["grouped", "single", "mixed", "linear"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def text(name: str, texts: dict[str, str]) -> str:
    return texts[name]


@pytest.fixture
def fit(name: str, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(name)


# ---- the page as a page


def test_it_needs_nothing_from_elsewhere(text: str) -> None:
    page = Page(text)
    names = Counter(tag for tag, _ in page.elements)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "video"} & names.keys()
    for _, given in page.elements:
        for attribute, value in given.items():
            assert not attribute.startswith("on")
            if attribute in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:image/png;base64,"))
            assert set(re.findall(r"url\((.)", value)) <= {"#"}
    assert (
        "http" not in text.replace("http-equiv", "")
        and "@import" not in text
        and "//" not in re.sub(r"base64,[^\"]*", "", text)
    )
    policy = next(given for given in page.all("meta") if given.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_ids_are_unique_and_references_arrive(text: str) -> None:
    page = Page(text)
    ids = Counter(given["id"] for _, given in page.elements if "id" in given)
    assert max(ids.values()) == 1
    wanted = {given["href"][1:] for _, given in page.elements if given.get("href", "").startswith("#")}
    wanted |= {given["aria-labelledby"] for _, given in page.elements if "aria-labelledby" in given}
    wanted |= {
        one for _, given in page.elements for value in given.values() for one in re.findall(r"url\(#(.*?)\)", value)
    }
    assert wanted <= ids.keys()
    assert [given["href"][1:] for given in page.all("a")] == page.sections


def test_everything_has_a_name(text: str) -> None:
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}] and len(page.all("h1")) == 1 and len(page.all("title")) == 1
    figures = page.all("svg")
    assert len(figures) == len(page.all("figcaption")) >= 8
    assert all(given["role"] == "img" and len(given["aria-label"]) > 20 for given in figures)
    assert all("alt" in given for given in page.all("img"))
    assert all(given.get("aria-label") for given in page.all("div") if given.get("role") == "region")
    empty = [given for given in page.all("th") if given.get("scope") not in ("col", "row", "colgroup", "rowgroup")]
    assert empty == []


@pytest.mark.parametrize("scheme", [_LIGHT, _DARK])
def test_contrast(scheme: str) -> None:
    colours = dict(re.findall(r"--(\w+):#(\w+);", scheme))

    def luminance(colour: str) -> float:
        full = colour if len(colour) == 6 else "".join(2 * one for one in colour)
        parts = [int(full[j : j + 2], 16) / 255 for j in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for name in ("ink", "soft", "link", "alarm"):
        for ground in ("paper", "shade"):
            bright, dim = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (name, ground)  # WCAG 2.1, AA


def test_colours_of_the_pictures_are_known_in_light_and_in_dark(text: str) -> None:
    used = set(re.findall(r"var\((--[gc][0-9a-f]+)\)", text))
    assert used and used == set(re.findall(r"(--[gc][0-9a-f]{2,6}):", text.split("@media", 1)[0]))
    assert used == set(re.findall(r"(--[gc][0-9a-f]{2,6}):", text.split("@media", 1)[1].split("<body", 1)[0]))
    assert "'DejaVu Sans'" not in text and not re.search(r"(fill|stroke): #(000000|ffffff)", text)


# ---- what is on it


def test_sections(texts: dict[str, str]) -> None:
    common = ["data", "code", "versions"]
    tail = ["partial", "residuals", "computation", *common]
    assert Page(texts["grouped"]).sections == ["summary", "estimates", "groups", "factors", "tests", *tail]
    assert Page(texts["single"]).sections == ["summary", "estimates", "factors", "tests", *tail]
    assert Page(texts["linear"]).sections == ["summary", "estimates", *tail]


def test_coefficients_are_those_of_the_fit(grouped: Any, texts: dict[str, str]) -> None:
    rows = [row for row in Page(texts["grouped"]).tables["estimates"][0] if len(row) == 7][1:]
    values = np.array([[float(cell) for cell in row[1:]] for row in rows])
    at = [list(grouped.params.index).index(f"{name}[{k}]") for k in (1, 2, 3) for name in grouped.params_by_group]
    wanted = np.column_stack([grouped.params, grouped.bse, grouped.tvalues, grouped.pvalues, grouped.conf_int()])[at]
    np.testing.assert_allclose(values, wanted, rtol=0, atol=5.001e-4)
    np.testing.assert_allclose(values[:, :2], wanted[:, :2], rtol=0, atol=5.001e-5)


def test_membership_has_every_entity(grouped: Any, texts: dict[str, str]) -> None:
    table = Page(texts["grouped"]).tables["groups"][1]
    read = {row[0]: int(row[1]) for row in table[1:]}
    assert read == {str(name): int(k) for name, k in grouped.groups.items()}
    margins = [float(row[table[0].index("margin")]) for row in table[1:]]
    np.testing.assert_allclose(margins, grouped.membership["margin"], atol=5.001e-5)
    members = Page(texts["grouped"]).tables["groups"][0]
    assert [set(row[3].split(", ")) for row in members[1:]] == [
        set(grouped.groups.index[grouped.groups == k]) for k in (1, 2, 3)
    ]


def test_equal_slopes_are_tested_as_by_hand(grouped: Any, texts: dict[str, str]) -> None:
    table = Page(texts["grouped"]).tables["tests"][1]
    for row, name in zip(table[1:], grouped.params_by_group, strict=True):
        with pytest.warns(SpecificationWarning, match="as if the groups had been given"):
            test = grouped.f_test(f"{name}[1] = {name}[2] = {name}[3]")
        assert row[0] == name and float(row[1]) == pytest.approx(float(test.fvalue), abs=5.001e-4)
        assert row[2] == f"F(2, {grouped.df_resid:.0f})"


def test_diagnostics_are_those_of_the_fit(single: Any, texts: dict[str, str]) -> None:
    table = Page(texts["single"]).tables["tests"][0]
    frame = single.diagnostics()
    assert [row[0] for row in table[1:]] == list(frame.index)
    assert [row[4] for row in table[1:]] == list(frame["null"])
    read = [float(row[1]) for row in table[1:]]
    np.testing.assert_allclose(read, frame["statistic"], atol=5.001e-4)


def test_bias_correction_is_shown(mixed: Any, texts: dict[str, str]) -> None:
    table = next(t for t in Page(texts["mixed"]).tables["estimates"] if t[0][0] == "Bias correction")
    read = np.array([[float(cell) for cell in row[1:]] for row in table[1:]])
    np.testing.assert_allclose(read[:, 0], mixed.params_uncorrected, atol=5.001e-5)
    np.testing.assert_allclose(read[:, 1], mixed.params, atol=5.001e-5)


def test_rows_of_the_data_add_up() -> None:
    data = load_cigar()
    data.iloc[[3, 40], data.columns.get_loc("price")] = np.nan
    lone = data.iloc[:1].rename(index={data.index[0][0]: "Atlantis"}, level=0)
    fit = gife.PartialledOLS.from_formula("sales ~ price + L(ndi) | state", pd.concat([data, lone])).fit()
    facts = dict(row for row in Page(fit.report(plots=False)).tables["data"][0])
    assert facts["Rows in the data"] == "1,381" and facts["Rows used"] == f"{int(fit.nobs):,}" == "1,332"
    assert facts["Rows left out, incomplete"] == "49"
    assert facts["of which without price"] == "2 (missing)" and facts["of which without L(ndi)"] == "47 (lost to lags)"
    assert facts["Entities (state)"] == "46: Alabama to Wyoming" and facts["Periods (year)"] == "29: 1964 to 1992"
    assert facts["Panel"].startswith("unbalanced: 99.9%")
    fit = gife.PartialledOLS.from_formula("sales ~ ndi | state", pd.concat([data, lone])).fit()
    facts = dict(row for row in Page(fit.report(plots=False)).tables["data"][0])
    assert facts["Rows left out, alone in a level of an effect"] == "1" and facts["Rows used"] == "1,380"
    assert facts["Panel"] == "balanced"


def test_described_columns_are_those_of_pandas(texts: dict[str, str]) -> None:
    table = Page(texts["linear"]).tables["data"][2]
    assert table[0] == ["Variable", "mean", "std. dev.", "within entities", "min", "max"]
    data = load_cigar()
    for row in table[1:]:
        own = data[row[0]]
        within = (own - own.groupby("state").transform("mean")).pow(2).sum() / (len(own) - 46)
        wanted = [own.mean(), own.std(), np.sqrt(within), own.min(), own.max()]
        np.testing.assert_allclose([float(cell.replace(",", "")) for cell in row[1:]], wanted, rtol=5.1e-4)


def test_selection_is_shown_where_there_was_one() -> None:
    panel = simulate("S", 40, 30, random_state=2)
    fit = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=range(4)).fit()
    text = fit.report(plots=["criteria"])
    page = Page(text)
    assert [int(row[0]) for row in page.tables["selection"][0][1:]] == [0, 1, 2, 3]
    assert len(page.all("svg")) == 1
    assert "n_factors=range(0, 4)" in unescape(text)


def test_versions_name_no_machine(text: str) -> None:
    page = Page(text)
    versions = dict(zip(*[iter(cell for row in page.tables["versions"][0] for cell in row)] * 2, strict=True))
    assert versions["gifepanel"] == gife.__version__ and versions["numpy"] == np.__version__
    assert versions["pandas"] == pd.__version__ and versions["python"] == sys.version.split()[0]
    assert {"statsmodels", "numba", "matplotlib"} <= versions.keys()
    assert str(Path.home()) not in text and str(Path(gife.__file__).parent) not in text


# ---- the code gives the numbers


def source(text: str) -> str:
    found = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", text, re.DOTALL)
    assert found
    return unescape(found[1])


def test_the_code_on_the_page_gives_the_numbers(text: str, fit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"data": load_cigar()}
    exec(source(text), names)
    assert capsys.readouterr().out.strip() == str(fit.summary()).strip()
    np.testing.assert_array_equal(names["res"].params, fit.params)
    np.testing.assert_array_equal(names["res"].bse, fit.bse)


# ---- bytes, files, options


def test_neither_style_nor_process_make_a_difference(linear: Any, tmp_path: Path) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    plots, path = ["coefficients", "residuals"], tmp_path / "page.html"
    program = (
        "import gifepanel as g; model = g.PartialledOLS.from_formula('sales ~ price + ndi | state + year', "
        "g.datasets.load_cigar()); res = model.fit(cov_type='cluster', cov_kwds={'groups': 'state'});"
        f"res.report({str(path)!r}, plots={plots})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    before = plt.get_fignums()
    with mpl.rc_context():
        plt.style.use("dark_background")
        mpl.rcParams["font.size"] = 20
        inside = dict(mpl.rcParams)
        page = linear.report(plots=plots)
        assert dict(mpl.rcParams) == inside
    assert page == path.read_text("utf-8")
    assert plt.get_fignums() == before


def test_files(linear: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("something else")
    assert linear.report(path, plots=False) == path
    assert linear.report(str(path), plots=False) == path  # replaced, as save() does
    assert path.read_bytes().decode("utf-8") == linear.report(plots=False)
    assert linear.report(tmp_path / "report.HTM", plots=False).exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/report.html", "There is no directory"),
        ("report.pdf", "A report is HTML"),
        ("report", "A report is HTML"),
        (".", "is a directory"),
    ],
)
def test_files_that_can_not_be_written(
    linear: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    def work(*_: Any) -> Any:
        raise AssertionError("work has begun")

    monkeypatch.setattr("gifepanel.page.report.draw_pictures", work)
    with pytest.raises(SpecificationError, match=message):
        linear.report(tmp_path / path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpecificationError, match="It must name a file"):
        linear.report(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plots": ["coefficient"]}, "'coefficient' is no picture of these results. There are coefficients"),
        ({"plots": ["membership"]}, "'membership' is no picture"),
        ({"plots": "coefficients"}, "a list of names"),
        ({"plots": 3}, "a list of names"),
        ({"title": 5}, "It must be text"),
        ({"title": " "}, "It must be text"),
        ({"date": 20260101}, "It must be a date or text"),
    ],
)
def test_bad_options(linear: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        linear.report(**options)


def test_options(linear: Any) -> None:
    page = Page(linear.report(plots=["fwl"], code=False, title="Demand & <taxes>", date=datetime.date(2026, 3, 1)))
    assert len(page.all("svg")) == 1 and "code" not in page.sections
    assert "Demand & <taxes>" in page.text and "2026-03-01" in page.text
    assert Page(linear.report(plots=False)).all("svg") == []
    assert Page(linear.report(plots=[])).all("svg") == []


def test_pictures_that_fit_not_are_told(single: Any) -> None:
    page = Page(single.report(plots=["criteria", "factors"]))
    assert len(page.all("svg")) == 1
    assert "Not drawn (criteria): The numbers of factors and groups were given" in page.text


def test_without_data(tmp_path: Path) -> None:
    for fit in (
        gife.GroupedIFE.from_formula(f"{DEMAND} | state", load_cigar(), n_groups=2, n_factors=1).fit(),
        gife.PartialledOLS.from_formula("sales ~ price | state", load_cigar()).fit(),
    ):
        before = Page(fit.report(plots=False))
        fit.remove_data()
        fit.save(tmp_path / "fit.pickle")
        page = Page(type(fit).load(tmp_path / "fit.pickle").report())
        assert "the data of these results are gone" in page.text and "Not drawn (" in page.text
        assert "The data themselves were removed." in page.text
        assert page.tables["summary"] == before.tables["summary"]
        assert page.tables["data"] == before.tables["data"][:2]
        assert "coefficients with 95 %" in page.all("svg")[0]["aria-label"].lower()


def test_without_matplotlib(linear: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = Page(linear.report())
    assert page.all("svg") == [] and "python -m pip install matplotlib" in page.text


def test_a_fit_that_did_not_converge_says_so_first() -> None:
    model = gife.InteractiveFE.from_formula(DEMAND, load_cigar(), n_factors=3)
    with pytest.warns(gife.exceptions.ConvergenceWarning):
        fit = model.fit(max_iter=1, n_starts=2)
    page = Page(fit.report(plots=False))
    assert [given for _, given in page.elements if given.get("class") == "alarm"]
    assert "max_iter=1" in page.text


def test_names_are_text_whatever_they_hold() -> None:
    panel = simulate("S", 12, 20, random_state=1).data.rename(columns={"x1": "<b>a</b> & $x$"})
    panel.index = pd.MultiIndex.from_tuples(
        [(f'<script>"{i}"</script>', t) for i, t in panel.index], names=["<i>", "time"]
    )
    y, x = panel["y"], panel[["<b>a</b> & $x$", "x2"]]
    fit = gife.GroupedIFE(y, x, n_groups=2, n_factors=1).fit()
    page = Page(fit.report(plots=["coefficients", "loadings", "fitted", "added_variable"]))
    assert page.all("script") == [] and page.all("b") == [{}] * len(page.all("figure")) and page.all("i") == []
    assert '<script>"' in page.text and "<b>a</b> & $x$" in page.text


def test_a_thousand_entities_stay_small() -> None:
    panel = simulate("S", 1000, 20, random_state=3)
    fit = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2).fit()
    text = fit.report(plots=["unit_slopes", "membership", "loadings", "residuals"])
    assert len(text.encode()) < 2_000_000
    page = Page(text)
    assert len(page.tables["groups"][1]) == 1001
    assert len(page.all("details")) >= 3
    assert any(given["href"].startswith("data:image/png") for given in page.all("image"))


def test_pictures_are_those_of_res_plot(grouped: Any, linear: Any) -> None:
    for fit in (grouped, linear):
        named = {picture.name for picture in report_pictures._pictures(fit)}
        assert named == set(dir(fit.plot)) | ({"criteria"} & named)


def test_coefficients_of_many_sizes_have_scales_of_their_own(grouped: Any, linear: Any) -> None:
    found = [report_pictures._pictures(fit)[0].separate for fit in (grouped, linear)]
    assert found == [False, True]  # price is in cents, income in dollars
