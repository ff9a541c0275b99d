"""Errors in the words of a shell."""

from __future__ import annotations

import pytest

from gifepanel.command.messages import in_shell_words, with_backticks
from gifepanel.exceptions import DataError, FormulaError, SpecificationError


@pytest.mark.parametrize(
    ("fix", "shown"),
    [
        ('cov_type="cluster"', "Add --cov-type cluster."),
        ('cov_kwds={"groups": "firm name"}', 'Add --cluster "firm name".'),
        ('cov_kwds={"groups": ["firm", "year"]}', "Add --cluster firm,year."),
        ('entity="firm", time="year"', "Add --entity firm --time year."),
        ("n_groups=3", "Add --groups 3."),
        ("n_factors=range(1, 5)", "Add --factors 1-4."),
        ("n_groups=range(4)", "Add --groups 0-3."),
        ("random_state=1", "Add --seed 1."),
        ("max_iter=500", "In Python: max_iter=500"),
        ("data = data.dropna()", "In Python: data = data.dropna()"),
        ("pip install openpyxl", "pip install openpyxl"),
        ("did you mean 'x' instead of 'z'?", "did you mean 'x' instead of 'z'?"),
        (None, "Needed."),
        ("cov_type='robust'", "Add --cov-type robust."),
        ("leave it out of the model, or add a regressor", "Needed. leave it out of the model, or add a regressor"),
        ("res.predict()", "In Python: res.predict()"),
    ],
)
def test_fixes(fix: str | None, shown: str) -> None:
    assert in_shell_words(SpecificationError("Found.", "Needed.", fix)).endswith(shown)


def test_words_of_python_are_options() -> None:
    twice = DataError("pairs occur twice, first ('f', 1)", "name another entity= or time=, or keep one", None)
    assert in_shell_words(twice) == "pairs occur twice, first ('f', 1). name another --entity or --time, or keep one"
    text = in_shell_words(SpecificationError("groups= names 'firmname'", "n_groups is 40, entity='firm' is", None))
    assert text == "--cluster names 'firmname'. --groups is 40, --entity firm is"
    assert in_shell_words(FormulaError("Found", "Needed", "y ~ x + z")) == 'Found. Needed. "y ~ x + z"'
    told = in_shell_words(DataError("Found", "Needed", None), "separated by semicolons, cp1252")
    assert told.endswith("(The file was read as text separated by semicolons, cp1252.)")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("y ~ x 1 | firm name", "y ~ `x 1` | `firm name`"),
        ("y ~ `x 1` | firm name", "y ~ `x 1` | `firm name`"),
        ("log(x 1) ~ C(firm name) + max 1", "log(`x 1`) ~ C(`firm name`) + max 1"),
        ("Q('x 1') ~ z", "Q('x 1') ~ z"),
        ("w 1 b + w 1", "`w 1 b` + `w 1`"),
        ("y ~ x1", "y ~ x1"),
    ],
)
def test_names_with_blanks(text: str, wanted: str) -> None:
    assert with_backticks(text, ["x 1", "firm name", "w 1", "w 1 b", "y", "x"]) == wanted
