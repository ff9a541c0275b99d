"""Errors and warnings: words, attributes, pickling."""

from __future__ import annotations

import pickle
import warnings

import pytest

from gifepanel import exceptions
from gifepanel.exceptions import (
    CollinearityWarning,
    ConvergenceError,
    ConvergenceWarning,
    DataError,
    DataWarning,
    FormulaError,
    GifepanelError,
    GifepanelWarning,
    LostWorkerError,
    MissingPackageError,
    SpecificationError,
    SpecificationWarning,
)

ERRORS = {
    DataError: ValueError,
    FormulaError: ValueError,
    SpecificationError: ValueError,
    ConvergenceError: RuntimeError,
    LostWorkerError: RuntimeError,
    MissingPackageError: ImportError,
}
WARNINGS = [CollinearityWarning, ConvergenceWarning, DataWarning, SpecificationWarning]


@pytest.mark.parametrize(("error", "builtin"), ERRORS.items())
def test_errors_are_caught_by_their_builtin_kind(error, builtin):
    assert issubclass(error, GifepanelError)
    with pytest.raises(builtin, match=r"^found$"):
        raise error("found")


@pytest.mark.parametrize("kind", [*ERRORS, *WARNINGS])
def test_three_parts_are_sentences_and_survive_pickling(kind):
    error = kind("2 rows have no entity", "each row needs one", "data.dropna()")
    assert str(error) == "2 rows have no entity. each row needs one. data.dropna()"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.found, again.needed, again.fix) == (error.found, error.needed, error.fix)
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("a",), "a"),
        (("a.", "b"), "a. b"),
        (("a", None, "c()"), "a. c()"),
        (("rows 1, 2:", "b"), "rows 1, 2: b"),
        (("what?", "b", ""), "what? b"),
    ],
)
def test_punctuation(parts, text):
    assert str(DataError(*parts)) == text


@pytest.mark.parametrize("kind", WARNINGS)
def test_warnings_take_an_instance_or_a_category(kind):
    assert issubclass(kind, GifepanelWarning)
    with pytest.warns(kind, match=r"^dropped x\. look at it$"):
        warnings.warn(kind("dropped x", "look at it"), stacklevel=1)
    with pytest.warns(kind, match="^dropped x$"):
        warnings.warn("dropped x", kind, stacklevel=1)


def test_every_public_name_is_there():
    assert sorted(exceptions.__all__) == exceptions.__all__
    assert all(hasattr(exceptions, name) for name in exceptions.__all__)
