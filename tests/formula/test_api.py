"""Formula functions are the models' own ``from_formula``, and signatures name what a call takes."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
import gifepanel.formula.api as gfa
from gifepanel.exceptions import SpecificationError

MODELS = {"gife": gife.GroupedIFE, "ife": gife.InteractiveFE, "pols": gife.PartialledOLS}
COUNTS: dict[str, dict[str, Any]] = {"gife": {"n_groups": 2, "n_factors": 1}, "ife": {"n_factors": 1}, "pols": {}}

# what a call takes, by name
PANEL = {"entity", "time", "missing"}
FACTORS = PANEL | {"n_factors", "predetermined", "weights"}
GROUPS = FACTORS | {"n_groups", "common", "min_group_share"}
TREATED = {"treated", "anticipation"}
LINEAR = PANEL | {"weights", "singletons"}
SEARCH = {"rule", "min_group_share", "kappa_scale", "random_state", "n_jobs", "progress", "checkpoint"}
TAKES: list[tuple[Callable[..., Any], set[str]]] = [
    (gife.GroupedIFE, GROUPS | {"absorb"}),
    (gife.InteractiveFE, FACTORS | {"absorb"}),
    (gife.PartialledOLS, LINEAR | {"absorb"}),
    (gife.GroupedIFE.from_formula, GROUPS | TREATED | {"context"}),
    (gife.InteractiveFE.from_formula, FACTORS | TREATED | {"context"}),
    (gife.PartialledOLS.from_formula, LINEAR | {"partial", "learner", "engine", "context"}),
    (gife.select, GROUPS | SEARCH | {"context"}),
    (gife.GroupedIFE.select, {"n_groups", "n_factors"} | SEARCH),
]


def options(function: Callable[..., Any]) -> set[str]:
    return {name for name, one in inspect.signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY}


def model(name: str, formula: str, data: Any, **rest: Any) -> Any:
    return getattr(gfa, name)(formula, data, **COUNTS[name], **rest)


@pytest.fixture(scope="module")
def flat() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    ids = {"firm": np.repeat(np.arange(16), 14), "year": np.tile(np.arange(14), 16)}
    frame = pd.DataFrame(ids | {name: rng.normal(size=224) for name in ("x", "z", "noise")})
    frame["d"] = ((frame.firm < 4) & (frame.year > 10)).astype(int)
    return frame.assign(w=rng.uniform(1, 2, 224), y=frame.x * (1 + frame.firm % 2) + frame.z + frame.noise)


@pytest.mark.parametrize(("function", "names"), TAKES, ids=[one[0].__qualname__ for one in TAKES])
def test_signatures_name_every_option(function: Callable[..., Any], names: set[str]) -> None:
    assert options(function) == names
    untyped = {name for name, one in inspect.signature(function).parameters.items() if one.annotation is one.empty}
    assert untyped <= {"self"}


@pytest.mark.parametrize("name", gfa.__all__)
def test_formula_functions_are_from_formula(name: str) -> None:
    function, original = getattr(gfa, name), MODELS[name].from_formula
    assert function == original and function is getattr(gfa, name)
    assert inspect.signature(function) == inspect.signature(original)
    assert function.__doc__ == original.__doc__ and f"gifepanel.formula.api.{name}``" in function.__doc__
    assert pickle.loads(pickle.dumps(function)) == original


def test_names_of_the_module() -> None:
    assert dir(gfa) == sorted(gfa.__all__) == sorted(MODELS)
    with pytest.raises(AttributeError, match="no attribute 'ols'"):
        gfa.ols


# ---- every option that is named is used


GIVEN: dict[str, Any] = {"n_groups": 2, "n_factors": 1, "common": ["z"], "entity": "firm", "time": "year"}
GIVEN |= {"predetermined": ["x"], "missing": "raise", "weights": "w", "singletons": "keep", "partial": "z"}
GIVEN |= {"treated": "d", "anticipation": 1, "min_group_share": 0.1, "engine": "memory"}


@pytest.mark.parametrize("name", gfa.__all__)
def test_every_option_of_a_formula_is_read_and_written_down(name: str, flat: pd.DataFrame) -> None:
    function = getattr(gfa, name)
    named = {key: GIVEN[key] for key in options(function) - {"context", "learner"}}
    built = function("y ~ 0 + x + z" if name != "pols" else "y ~ x", flat, **named)
    assert {key: eval(source) for key, source in built._call.options} == named
    without = function("y ~ x + z", flat, entity="firm", time="year", **COUNTS[name], missing="drop", context=None)
    assert set(dict(without._call.options)) == {"entity", "time", *COUNTS[name]}
    if name == "gife":
        assert (built._common, built._predetermined, without._common) == ((1,), (0,), (0,))


@pytest.mark.parametrize("name", gfa.__all__)
def test_every_option_of_frames_is_read_and_written_down(name: str, flat: pd.DataFrame) -> None:
    given = {**GIVEN, "absorb": "firm"}
    named = {key: given[key] for key in options(MODELS[name])}
    built = MODELS[name](flat["y"], flat.drop(columns=["y", "noise", "d"]), **named)
    assert {key: eval(source) for key, source in built._call.options} == named
    assert built.exog_names == ["x", "z"] and built.design.absorbed == ("firm",)


@pytest.mark.parametrize("name", gfa.__all__)
def test_a_word_that_is_near_is_named(name: str, flat: pd.DataFrame) -> None:
    for wrong, right in (("enttiy", "entity"), ("mising", "missing"), ("contxt", "context")):
        with pytest.raises(SpecificationError, match=f"from_formula got an unknown option '{wrong}'") as caught:
            model(name, "y ~ x", flat, **{wrong: "firm"})
        assert caught.value.fix == f"{right}='firm'" and str(caught.value).count(right) >= 1


def test_counts_that_are_not_given_are_asked_for(flat: pd.DataFrame) -> None:
    ids = {"entity": "firm", "time": "year"}
    for call, name in (
        (lambda: gfa.gife("y ~ x", flat, n_groups=2, **ids), "n_factors"),
        (lambda: gfa.gife("y ~ x", flat, n_factors=2, n_groups=None, **ids), "n_groups"),
        (lambda: gfa.ife("y ~ x", flat, **ids), "n_factors"),
        (lambda: gife.InteractiveFE(flat["y"], flat[["x", "firm", "year"]], **ids), "n_factors"),
    ):
        with pytest.raises(SpecificationError, match=f"{name} was not given") as caught:
            call()
        assert caught.value.fix.startswith(f"{name}=")


def test_groups_belong_to_the_model_with_groups(flat: pd.DataFrame) -> None:
    ids = {"entity": "firm", "time": "year"}
    with pytest.raises(SpecificationError, match="n_groups=2") as caught:
        gfa.ife("y ~ x", flat, n_groups=2, n_factors=1, **ids)
    found = eval(str(caught.value.fix), {"GroupedIFE": gife.GroupedIFE, "data": flat})
    assert (found.n_groups, found.n_factors) == (2, 1)
    with pytest.raises(SpecificationError, match="unknown option 'common'"):
        gfa.ife("y ~ x", flat, common=["x"], n_factors=1, **ids)


@pytest.mark.parametrize(
    "counts", [np.array([1, 2]), (n for n in (1, 2)), {1, 2}, range(1, 3)], ids=["array", "generator", "set", "range"]
)
def test_any_iterable_of_numbers(flat: pd.DataFrame, counts: Any) -> None:
    """Comparing an array of candidates with 0 was an error of NumPy's."""
    built = gfa.ife("y ~ x", flat, n_factors=counts, entity="firm", time="year")
    assert built._candidates == ([1, 2], 1)


# ---- 0 is the caller


def doubled(x: Any) -> Any:
    return 2 * x


def by_other_names(name: str, data: pd.DataFrame, how: Any) -> Any:
    """Two frames, each with a `shrunk` of its own."""

    def shrunk(x: Any) -> Any:
        return x / 10

    def inner() -> Any:
        def shrunk(x: Any) -> Any:
            return x / 1000

        return model(name, "y ~ 0 + shrunk(x) + z", data, entity="firm", time="year", context=how)

    return inner()


@pytest.mark.parametrize("name", gfa.__all__)
def test_functions_of_the_caller(name: str, flat: pd.DataFrame) -> None:
    def shrunk(x: Any) -> Any:
        return x / 100

    ids: dict[str, Any] = {"entity": "firm", "time": "year"}
    original = MODELS[name].from_formula
    for function in (getattr(gfa, name), original):
        built = function("y ~ 0 + shrunk(x) + doubled(z)", flat, **COUNTS[name], **ids)
        np.testing.assert_array_equal(built.exog, np.column_stack([flat.x / 100, 2 * flat.z]))
    # the frames above: the helper `model`, its caller `inner`, `by_other_names`, and this test
    for how, divisor in ((1, 1000), (2, 10), (3, 100), ({"shrunk": np.negative}, -1)):
        np.testing.assert_array_equal(by_other_names(name, flat, how).exog[:, 0], flat.x / divisor)


def test_select_looks_in_the_frame_of_its_caller(flat: pd.DataFrame) -> None:
    def shrunk(x: Any) -> Any:
        return x / 100

    ids: dict[str, Any] = {"entity": "firm", "time": "year", "n_factors": [0, 1], "n_groups": 1}
    plain = gife.select("y ~ 0 + x + z", flat, **ids)
    pd.testing.assert_frame_equal(gife.select("y ~ 0 + shrunk(x) + z", flat, **ids).factors, plain.factors)
    above = (lambda: gife.select("y ~ 0 + shrunk(x) + z", flat, context=1, **ids))()
    pd.testing.assert_frame_equal(above.factors, plain.factors)
    with pytest.raises(gife.exceptions.FormulaError, match="shrunk"):
        gife.select("y ~ 0 + shrunk(x) + z", flat, context=None, **ids)


def test_classes_of_the_user_keep_their_kind(flat: pd.DataFrame) -> None:
    class Mine(gife.GroupedIFE):
        def __init__(self, *, data: Any) -> None:
            super().__init__(
                data["y"], data[["x", "firm", "year"]], n_groups=2, n_factors=1, entity="firm", time="year"
            )

    by_formula = Mine.from_formula("y ~ 0 + x", flat, n_groups=2, n_factors=1, entity="firm", time="year")
    assert type(by_formula) is Mine and by_formula._call.function == "Mine.from_formula"
    np.testing.assert_array_equal(by_formula.exog, Mine(data=flat).exog)


@pytest.mark.parametrize("context", ["numpy", 10_000, 1.5, [1]])
def test_a_context_that_is_none(flat: pd.DataFrame, context: Any) -> None:
    for build in (gfa.gife, gfa.pols):
        counts = {"n_groups": 2, "n_factors": 1} if build == gfa.gife else {}
        with pytest.raises(SpecificationError, match="how many frames above the caller"):
            build("y ~ x", flat, entity="firm", time="year", context=context, **counts)
