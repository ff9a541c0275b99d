"""LaTeX: what fits a page of an article, what stands under each other, names as they are and as mathematics."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationError
from gifepanel.tables.blocks import Table
from gifepanel.tables.latex_text import as_number, as_tex, as_value, as_words
from gifepanel.tables.render import render

DEMAND = "log(sales) ~ log(real_price) + log(real_income)"
PREAMBLE = r"\documentclass{article}\usepackage[utf8]{inputenc}\usepackage{booktabs}\begin{document}"


@pytest.fixture(scope="module")
def linear(request: pytest.FixtureRequest) -> Any:
    model = gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", gife.datasets.load_cigar())
    return model.fit(cov_type="cluster", cov_kwds={"groups": ["state", "year"]})


@pytest.fixture(scope="module")
def named() -> Any:
    """Long names of everything, holes, numbers of other sizes, four groups."""
    panel = gife.datasets.simulate("S", 40, 20, random_state=5).data.reset_index()
    panel.columns = ["firm_identifier_of_orbis_&_others", "calendar_year", "y_total_%", "x1", "x2"]
    panel["a_regressor_with_a_name_that_does_not_end_soon_#1"] = panel.pop("x1") * 1e9
    panel["x2"] *= 700
    panel[panel.columns[0]] = "Firma Übermut & Söhne Co_KG " + panel[panel.columns[0]].astype(str)
    index = list(panel.columns[:2])
    frame = panel.drop(index=[3, 4, 5, 200]).set_index(index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = gife.GroupedIFE(frame["y_total_%"], frame.drop(columns="y_total_%"), n_groups=4, n_factors=1)
        return model.fit(cov_type="cluster")


def endless() -> dict[str, str]:
    """Forty-eight coefficients with names of fifty letters, titles and names of models that do not end."""
    rng = np.random.default_rng(0)
    endog = pd.Series(rng.normal(size=150), name="an_outcome_of_many_letters_that_goes_on_and_on_too")
    texts = {}
    for kind, letters in {"words": "a_regressor_of_the_kind_", "letters": "abcdefghij", "wide": "WM"}.items():
        names = [f"v{k}{letters * 25}"[:50] for k in range(48)]
        fit = gife.PartialledOLS(endog, pd.DataFrame(rng.normal(size=(150, 48)), columns=names)).fit()
        texts |= {f"{kind} alone": fit.to_latex(), f"{kind} full": fit.to_latex(full=True)}
        texts |= {f"{kind} {n}": gife.compare([fit] * n).as_latex() for n in (1, 3)}
    title = "Everything that there is to say about what was done here, and something more. " * 12
    texts |= {"title": fit.to_latex(title=title), "models": gife.compare([fit] * 8, names=[
        f"Model {k} of a name that takes up its room and more of it than one would like" for k in range(8)
    ]).as_latex()}  # fmt: skip
    return texts


@pytest.fixture(scope="module")
def documents(grouped: Any, single: Any, mixed: Any, linear: Any, named: Any) -> dict[str, str]:
    fits = [linear, single, grouped, mixed, named, linear]
    texts = {}
    for number, fit in enumerate(fits[:5]):
        texts[f"paper {number}"] = fit.to_latex(label=f"tab:{number}")
        texts[f"full {number}"] = fit.to_latex(full=True)
        texts[f"summary {number}"] = fit.summary(layout="stacked").as_latex()
    for n in range(1, 7):
        texts[f"compare {n}"] = gife.compare(fits[:n]).as_latex()
    texts["six"] = gife.compare([linear] * 6, precision="ci", names=["All firms, pooled into one", *"bcdef"]).as_latex()
    texts["digits"] = gife.compare(grouped, digits=8, precision="ci").as_latex()
    greek = {"log(real_price)": r"$\beta_{p}$ (R&D, in %)", "log(real_income)": r"\textit{income}"}
    texts["names"] = gife.compare(linear, grouped, rename=greek, escape=False).as_latex()
    texts["renamed"] = grouped.to_latex(rename=greek, escape=False, title=r"Elasticities $\hat\beta$ of a_b")
    texts["frame"] = gife.InteractiveFE.from_formula(DEMAND, gife.datasets.load_cigar(), n_factors=range(3)).fit(
    ).selection.as_latex()  # fmt: skip
    return texts | endless()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_nothing_is_wider_than_the_text_or_higher_than_the_page(documents: dict[str, str], tmp_path: Path) -> None:
    body = "\n".join(rf"\typeout{{== {name}}}{text}\clearpage" for name, text in documents.items())
    (tmp_path / "all.tex").write_text(f"{PREAMBLE}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    run = ["pdflatex", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, re.findall(r"^! .*", log, re.MULTILINE)
    for found in re.finditer(r"^(?:Overfull.*|.*Float too large.*|! .*)$", log, re.MULTILINE):
        name = re.findall(r"^== (.*)$", log[: found.start()], re.MULTILINE)[-1]
        raise AssertionError(f"{name}: {found[0]}")
    assert log.count("Overfull") == 0


def test_source(documents: dict[str, str]) -> None:
    for name, text in documents.items():
        assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}"), name
        shares = re.findall(r"\\begin\{(?:tabular\*|minipage)\}\{([\d.]+)\\linewidth\}", text)
        assert len(set(shares)) == 1 and float(shares[0]) <= 1, name  # notes are as wide as the table
        for spec, body in re.findall(
            r"\\begin\{tabular\*\}\{[^\n]*?\}\{([^\n]*)\}\n(.*?)\\end\{tabular\*\}", text, re.DOTALL
        ):
            assert body.startswith(r"\toprule") and body.rstrip().endswith(r"\bottomrule"), name
            columns = re.sub(r"@\{(?:[^{}]|\{[^{}]*\})*\}|\{[^{}]*\}", "", spec)
            assert set(columns) <= set("lrp"), name
            for line in body.splitlines():
                if line.endswith((r"\\", r"\tabularnewline")):
                    spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                    assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) == len(columns), (name, line)
    assert all(r"p{" in documents[f"full {number}"] for number in range(5))
    assert documents["compare 6"].count(r"\toprule") > 1  # panels, one below the other


def test_nothing_is_lost_over_many_pages(documents: dict[str, str]) -> None:
    """Each coefficient once, under a head on each page; no more floats at a time than LaTeX keeps."""
    for kind in ("words", "letters", "wide"):
        for name in ("alone", "full", "1", "3"):
            text = documents[f"{kind} {name}"].replace(r"\allowbreak{}", "").replace(r"\_", "_")
            starts = re.findall(r"^(?:\\raggedright )?v(\d+)[a-zA-Z_]*.* & ", text, re.MULTILINE)
            assert sorted(map(int, starts)) == list(range(48)), (kind, name)
            assert text.count(r"\begin{table}") == text.count(r"\caption") >= 3
            assert text.count("(continued)") == text.count(r"\begin{table}") - 1
    many = documents["models"]
    assert many.count(r"\begin{table}") > 18
    assert max(piece.count(r"\begin{table}") for piece in many.split(r"\clearpage")) <= 12


def test_the_coefficients_alone_and_everything(grouped: Any, linear: Any) -> None:
    for fit in (grouped, linear):
        alone, everything = fit.to_latex(), fit.to_latex(full=True)
        assert everything == fit.summary(full=True).as_latex()
        assert "Residual std. dev." in everything and "Residual std. dev." not in alone
        assert r"\caption{Dependent variable: log(sales)}" in alone and "1380" in alone
        for value in fit.params:
            assert f"{abs(value):.4f}" in alone
    text = " ".join(grouped.to_latex().split())
    assert "not separated enough" in text and "take for granted" in text  # what warns stays
    assert "standard errors in parentheses" in text and "summary(" not in text and "& members" not in text
    assert r"\label{tab:x}" in grouped.to_latex(label="tab:x")
    assert r"\caption{A \& B}" in grouped.to_latex(title="A & B")


def test_names_in_a_paper(grouped: Any, linear: Any) -> None:
    names = {"log(real_price)": r"$\beta_p$"}
    for fit in (grouped, linear):
        assert r"\$\textbackslash{}beta\_p\$" in fit.to_latex(rename=names)
        text = fit.to_latex(rename=names, escape=False)
        assert "\n$\\beta_p$ &" in text and r"log(real\_income)" in text and "log(real\\_price) &" not in text
        assert "\n$\\beta_p$ &" in fit.to_latex(full=True, rename=names, escape=False)
    with pytest.raises(SpecificationError, match="'prise'") as caught:
        grouped.to_latex(rename={"prise": "x"})
    assert "log(real_price)" in caught.value.needed
    table = gife.compare(linear, rename=names, escape=False)
    assert table.as_latex() == gife.compare(linear, rename=names).as_latex(escape=False)
    assert r"\textbackslash" in table.as_latex(escape=True) and r"$\beta_p$" in str(table)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"$\beta_1$", r"$\beta_1$"),
        (r"R&D_1 in 5% of #2", r"R\&D\_1 in 5\% of \#2"),
        (r"R\&D\_1 \% \# \$", r"R\&D\_1 \% \# \$"),
        (r"a_1 $x_1 & y$ b_1", r"a\_1 $x_1 & y$ b\_1"),
        (r"\(x_1\) x_1", r"\(x_1\) x\_1"),
        ("5 $ and no end", r"5 \$ and no end"),
        ("a < b | c^2", r"a \textless{} b \textbar{} c\textasciicircum{}2"),
        ("[odd]", "{[}odd]"),
        ("*odd", "{*}odd"),
        (r"\textit{a_b}", r"\textit{a\_b}"),
    ],
)
def test_names_that_are_latex(text: str, wanted: str) -> None:
    assert as_tex(text, escape=False) == wanted


def test_numbers_stand_at_the_point_and_marks_outside() -> None:
    assert as_number("-0.702***", 0) == r"$-$0.702\rlap{$^{***}$}"
    assert as_number("(0.04)", 1) == r"(0.04\rlap{)}\phantom{0}"
    assert as_number("[0.000]", 0) == r"{[}0.000\rlap{]}"
    assert as_number("by state", 0) is None
    assert as_value("1.23e-07***") == r"$1.23\times10^{-7}$$^{***}$"
    rows = (("a", "0.12***", "12.5"), ("", "(0.0005)", "1,234.56"), ("b", "Yes", "-"))
    text = render("", [Table(("", "x", "y"), (("", rows),), hang=3)], "latex")
    assert r"a & 0.12\rlap{$^{***}$}\phantom{00} & 12.5\phantom{0} \\" in text
    assert r" & (0.0005\rlap{)} & 1,234.56 \\" in text
    assert r"b & \multicolumn{1}{c}{Yes} & \multicolumn{1}{c}{-} \\" in text
    plain = render("", [Table(("", "x"), (("", (("a", "0.12"), ("b", "0.0005"), ("c", "7"))),))], "text")
    assert [line.split()[-1] for line in plain.splitlines()[-4:-1]] == ["0.12", "0.0005", "7"]
    points = {line.rindex(".") for line in plain.splitlines() if "0." in line}
    assert len(points) == 1


def test_long_words_may_break() -> None:
    word = "a_regressor_with_a_long_name(of_the_firm)" + "x" * 30
    broken = as_words(word)
    assert broken.replace(r"\allowbreak{}", "") == as_tex(word)
    assert max(len(piece) for piece in broken.split(r"\allowbreak{}")) <= 23
    assert as_words("short_name") == r"short\_name"


def test_any_size_of_table_is_set(named: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 70)), columns=[f"regressor_number_{k}" for k in range(70)])
    endog = pd.Series(rng.normal(size=150), name="y")
    text = gife.PartialledOLS(endog, frame).fit().to_latex(label="tab:x")
    assert text.count(r"\begin{table}") == 2 and text.count("(continued)") == 1 and text.count(r"\label") == 1
    assert text.count(r"\addtocounter{table}{-1}") == 1 and text.count("0.975]") == 2
