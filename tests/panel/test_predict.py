"""Regressors on new data: rebuilt exactly, in another process too; what can't be rebuilt is an error."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel.exceptions import DataError, FormulaError
from gifepanel.panel import design_from_formula, design_from_frames

FORMULAS = [
    "y ~ x1 + log(x2)",
    "y ~ scale(x1) + center(x2) + poly(x1, 2)",
    "y ~ bs(x1, df=5) + cr(x2, df=4)",
    "y ~ C(region) + size*x1",
    "y ~ 0 + region:flag",
    "y ~ L(x1) + D(log(x2)) + F(count, 2)",
    "y ~ L(y) + scale(L(x1)) + x1",
    "y ~ x1 + region | firm + year",
    "y ~ C(size, contr.sum)",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.filterwarnings("ignore:region.flag is a product:gifepanel.exceptions.SpecificationWarning")
def test_the_same_data_give_the_same_matrix(indexed, formula):
    design = design_from_formula(formula, indexed)
    new = design.spec.exog_for(indexed)
    exog, panel, row_index, esample, controls = new
    assert controls.shape == (len(exog), 0)
    np.testing.assert_array_equal(exog, design.exog)
    assert row_index.equals(design.row_index)
    assert np.array_equal(esample, design.esample)
    assert np.array_equal(panel.entity_codes, design.index.entity_codes)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.filterwarnings("ignore:region.flag is a product:gifepanel.exceptions.SpecificationWarning")
def test_part_of_the_data_gives_part_of_the_matrix(indexed, formula):
    design = design_from_formula(formula, indexed)
    part = indexed.loc[["f5", "f2"]].copy()
    new = design.spec.exog_for(part)
    rows = design.row_index.get_indexer(new.row_index)
    np.testing.assert_allclose(new.exog, design.exog[rows], rtol=1e-14, atol=1e-15)
    assert len(new.exog) == (design.row_index.get_level_values(0).isin(["f2", "f5"])).sum()


def test_new_data_need_neither_outcome_nor_ids_without_lags(indexed, flat):
    design = design_from_formula("y ~ scale(x1) + region", indexed)
    plain = pd.DataFrame({"x1": [0.0, 1.0], "region": ["west", "east"]}, index=["p", "q"])
    new = design.spec.exog_for(plain)
    x = indexed["x1"]
    np.testing.assert_allclose(new.exog[:, 1], (plain["x1"] - x.mean()) / x.std())
    np.testing.assert_array_equal(new.exog[:, 2:], [[0, 1], [0, 0]])
    assert new.panel is None
    assert new.row_index.tolist() == ["p", "q"]
    flat_new = design.spec.exog_for(flat.drop(columns="y"))
    assert flat_new.panel.n_entities == 6
    assert design.spec.exog_for(pl.from_pandas(flat)).exog.shape == (48, 4)


def test_lags_look_within_the_new_data(flat):
    design = design_from_formula("y ~ L(x1)", flat, entity="firm", time="year")
    new = pd.DataFrame({"firm": ["z", "z", "z"], "year": [2030, 2031, 2033], "x1": [1.0, 2.0, 3.0]})
    exog, panel, row_index, esample, _ = design.spec.exog_for(new)
    assert exog.tolist() == [[1.0, 1.0]]
    assert row_index.tolist() == [1]
    assert esample.tolist() == [False, True, False]
    assert panel.entities.tolist() == ["z"]
    with pytest.raises(DataError, match="entity='firm' is neither"):
        design.spec.exog_for(new.drop(columns="firm"))
    with pytest.raises(DataError, match="more than once"):
        design.spec.exog_for(pd.concat([new, new]))


def test_grids_with_repeated_cells_are_fine_without_lags(flat):
    design = design_from_formula("y ~ x1", flat, entity="firm", time="year")
    new = design.spec.exog_for(pd.concat([flat, flat]))
    assert new.exog.shape == (96, 2)
    assert new.panel.has_duplicates


def test_unseen_categories_are_refused(indexed):
    for formula in ("y ~ region", "y ~ C(region) + x1", "y ~ region:x1", "y ~ C(count)"):
        design = design_from_formula(formula, indexed)
        new = indexed.copy()
        column = "count" if "count" in formula else "region"
        new[column] = [99 if column == "count" else "south", *new[column][1:]]
        with pytest.raises(FormulaError, match=r"not estimated with: ('south'|99)"):
            design.spec.exog_for(new)
    design = design_from_formula("y ~ size", indexed)
    new = indexed.assign(size=indexed["size"].cat.add_categories("huge"))
    assert design.spec.exog_for(new).exog.shape == (48, 3)
    new.iloc[0, new.columns.get_loc("size")] = "huge"
    with pytest.raises(FormulaError, match="'huge'"):
        design.spec.exog_for(new)


def test_missing_columns_values_and_knots(indexed):
    design = design_from_formula("y ~ bs(x1, df=4) + log(x2)", indexed)
    with pytest.raises(FormulaError, match="names 'x2', which is not in the data"):
        design.spec.exog_for(indexed.drop(columns="x2"))
    with pytest.raises(FormulaError, match=r"bs\(x1, df=4\) can't be evaluated.*beyond upper and/or lower bounds"):
        design.spec.exog_for(indexed.assign(x1=1e6))
    with pytest.raises(FormulaError, match="log\\(x2\\) is NaN in 48 rows"):
        design.spec.exog_for(indexed.assign(x2=-1.0))
    with pytest.raises(DataError, match="infinite values in 'x2'"):
        design.spec.exog_for(indexed.assign(x2=np.inf))
    holes = indexed.copy()
    holes.iloc[3, holes.columns.get_loc("x2")] = np.nan
    new = design.spec.exog_for(holes)
    assert np.flatnonzero(~new.esample).tolist() == [3]
    with pytest.raises(DataError, match='missing="raise"'):
        design.spec.exog_for(holes, missing="raise")


def test_absorbed_levels_on_new_data(indexed):
    design = design_from_formula("y ~ x1 | firm + region^year", indexed)
    new = indexed.loc[["f1", "f6"]].rename(index={"f6": "g"}, level=0)
    codes = design.positions_of(design.spec.read(new), design.spec.exog_for(new).esample)
    assert codes["firm"].tolist() == [0] * 8 + [-1] * 8
    own = design.absorbed_codes["region^year"]
    assert codes["region^year"][:8].tolist() == own[0][:8].tolist()
    assert design.positions_of(design.spec.read(indexed), design.esample)["region^year"].tolist() == own[0].tolist()


def test_the_spec_is_not_changed_by_prediction(indexed):
    design = design_from_formula("y ~ scale(x1) + C(region) + bs(x2, df=4)", indexed)
    spec = design.spec.model_spec
    before = repr(spec.transform_state), repr(spec.encoder_state), repr(spec.structure)
    design.spec.exog_for(indexed.iloc[:10])
    assert (repr(spec.transform_state), repr(spec.encoder_state), repr(spec.structure)) == before
    np.testing.assert_array_equal(design.spec.exog_for(indexed).exog, design.exog)


def test_pickling_into_a_fresh_process(indexed, tmp_path):
    formula = "y ~ scale(x1) + bs(x2, df=4) + C(region) + L(x1) + np.log(x2) + hypot(x1, x2) | firm"
    design = design_from_formula(formula, indexed, context={"hypot": np.hypot})
    new = indexed.loc[["f3", "f1"]]
    (tmp_path / "design.pickle").write_bytes(pickle.dumps((design, new, design.spec.exog_for(new).exog)))
    script = """
        import pickle, sys, warnings
        warnings.simplefilter("error")
        import numpy as np
        design, new, expected = pickle.load(open(sys.argv[1], "rb"))
        found = design.spec.exog_for(new)
        assert np.array_equal(found.exog, expected)
        assert design.index.is_balanced and design.formula.startswith("y ~ scale")
        print("same")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "design.pickle")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "same\n", done.stderr


def test_frames_rebuild_by_column_name(flat):
    exog = flat[["firm", "year", "x1", "x2"]]
    design = design_from_frames(flat["y"], exog, entity="firm", time="year")
    new = design.spec.exog_for(exog[["x2", "year", "firm", "x1"]].iloc[::-1])
    np.testing.assert_array_equal(new.exog, exog[["x1", "x2"]].to_numpy()[::-1])
    with pytest.raises(FormulaError, match="names 'x2'"):
        design.spec.exog_for(exog.drop(columns="x2"))
