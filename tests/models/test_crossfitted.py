"""PartialledOLS with a learner: wiring of cross-fitting, scores and covariances to formulas and results."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gifepanel as gife
from gifepanel.exceptions import SpecificationError, SpecificationWarning

FORMULA = "log(sales) ~ log(real_price) | state + year"
CONTROLS = "log(real_income) + log(pimin)"


@pytest.fixture(scope="module")
def cigar():
    return gife.datasets.load_cigar()


def model_of(data, learner, formula=FORMULA, partial=CONTROLS, **options):
    return gife.PartialledOLS.from_formula(formula, data, partial=partial, learner=learner, **options)


@pytest.mark.parametrize(
    "formula", [FORMULA, "log(sales) ~ log(real_price)", "log(sales) ~ log(real_price) + pop | state"]
)
@pytest.mark.parametrize("weights", [None, "pop16"])
def test_one_fold_of_least_squares_is_the_linear_model(cigar, formula, weights):
    with pytest.warns(SpecificationWarning, match="n_folds is 1"):
        learned = model_of(cigar, LinearRegression(), formula, weights=weights).fit(n_folds=1)
    linear = gife.PartialledOLS.from_formula(formula, cigar, partial=CONTROLS, weights=weights).fit(
        cov_type="CR0", cov_kwds={"groups": "state"}
    )
    pd.testing.assert_series_equal(learned.params, linear.params, rtol=1e-9)
    pd.testing.assert_series_equal(learned.bse, linear.bse, rtol=1e-8)
    np.testing.assert_allclose(learned.resid, linear.resid, atol=1e-10)


def test_out_of_fold_by_hand(cigar):
    """Two folds of states, a ridge fitted by hand on one and predicted on the other."""
    flat = cigar.reset_index()
    label = (flat["state"].astype("category").cat.codes % 2).to_numpy()
    model = model_of(flat, Ridge(alpha=0.1), "sales ~ price", "pop + ndi", entity="state", time="year")
    learned = model.fit(folds=label)
    z = flat[["pop", "ndi"]].to_numpy()
    left = {}
    for name in ("sales", "price"):
        out = flat[name].to_numpy(dtype=float).copy()
        for k in (0, 1):
            out[label == k] -= Ridge(alpha=0.1).fit(z[label != k], flat[name][label != k]).predict(z[label == k])
        left[name] = out
    theta = left["price"] @ left["sales"] / (left["price"] @ left["price"])
    assert learned.params["price"] == pytest.approx(theta, rel=1e-10)
    scores = pd.Series(left["price"] * (left["sales"] - theta * left["price"])).groupby(flat["state"]).sum()
    error = np.sqrt((scores**2).sum()) / (left["price"] @ left["price"])
    assert learned.bse["price"] == pytest.approx(error, rel=1e-10)


def test_report_and_records(cigar):
    learner = RandomForestRegressor(n_estimators=10, min_samples_leaf=10)
    res = model_of(cigar, learner).fit(n_repeats=2, n_folds=3)
    text = res.summary().as_text()
    assert max(map(len, text.splitlines())) <= 80
    for part in ("Double Machine Learning", "3 x 2, by state", "RandomForestRegressor", "Medians over 2 repeats"):
        assert part in text
    assert res.nuisance.index.tolist() == ["log(sales)", "log(real_price)"]
    assert res.repeats.shape == (2, 2)
    again = model_of(cigar, learner).fit(n_repeats=2, n_folds=3, n_jobs=2)
    pd.testing.assert_series_equal(res.params, again.params)
    assert not res.params.equals(model_of(cigar, learner).fit(n_repeats=2, n_folds=3, random_state=1).params)
    copy = pickle.loads(pickle.dumps(res))
    assert str(copy.summary()) == text
    for fmt in ("as_html", "as_latex", "as_markdown", "as_csv"):
        assert "RandomForestRegressor" in getattr(res.summary(), fmt)()


def test_a_checkpoint_goes_on_and_grows(cigar, tmp_path):
    """What an interrupt left is not computed again, nor are the repeats of a shorter run; the numbers stay."""

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    trees = RandomForestRegressor(n_estimators=3, min_samples_leaf=10)
    model, folder = model_of(cigar, {"outcome": trees, "log(real_price)": LinearRegression()}), tmp_path / "folds"
    how = {"n_folds": 3, "score": "IV-type", "random_state": 3}
    with pytest.raises(KeyboardInterrupt):
        model.fit(**how, checkpoint=folder, progress=stop)
    seen = []
    one = model.fit(**how, checkpoint=folder, progress=lambda *at: seen.append(at))
    assert seen == [(6, 6), (1, 3), (2, 3), (3, 3)]  # the second stage has another three
    two = model.fit(**how, n_repeats=2, checkpoint=folder, progress=lambda *at: seen.append(at))
    assert [at for at in seen[4:] if at[1] == 12] == [(done, 12) for done in range(7, 13)]
    for res, repeats in ((one, 1), (two, 2)):
        pd.testing.assert_series_equal(res.params, model.fit(**how, n_repeats=repeats).params, check_exact=True)
    others = {
        "random_state differs": lambda: model.fit(**(how | {"random_state": 4}), checkpoint=folder),
        "score differs": lambda: model.fit(**(how | {"score": "partialling out"}), checkpoint=folder),
        "learner differs": lambda: model_of(cigar, Ridge()).fit(**how, checkpoint=folder),
        "data differs": lambda: model_of(cigar.iloc[30:], model.learner).fit(**how, checkpoint=folder),
        "there is a checkpoint": lambda: model.fit(**(how | {"random_state": None}), checkpoint=folder),
        "no learner": lambda: gife.PartialledOLS.from_formula(FORMULA, cigar).fit(checkpoint=folder),
    }
    for words, call in others.items():
        with pytest.raises(SpecificationError, match=words):
            call()


def test_learners_by_name_and_pipelines(cigar):
    ridge, line = make_pipeline(StandardScaler(), Ridge()), LinearRegression()
    res = model_of(cigar, {"outcome": ridge, "log(real_price)": line}).fit()
    assert res.nuisance["learner"].str.contains("Ridge").tolist() == [True, False]


def test_covariances(cigar):
    model = model_of(cigar, LinearRegression())
    by_state = model.fit()
    assert by_state.cov_type == "cluster"
    both = model.fit(cov_type="cluster", cov_kwds={"groups": ["state", "year"]})
    assert both._covariance.n_groups == (46, 30)
    assert model.fit(cov_type="HC0").bse.iloc[0] < by_state.bse.iloc[0]
    with pytest.raises(SpecificationError, match="HC3"):
        model.fit(cov_type="HC3")
    with pytest.raises(SpecificationError, match="maxlags"):
        model.fit(cov_type="cluster", cov_kwds={"maxlags": 2})


def test_refusals(cigar):
    with pytest.raises(SpecificationError, match="nothing for it to learn from"):
        gife.PartialledOLS.from_formula(FORMULA, cigar, learner=Ridge()).fit()
    with pytest.raises(SpecificationError, match="n_repeats and the model has no learner"):
        gife.PartialledOLS.from_formula(FORMULA, cigar).fit(n_repeats=3)
    with pytest.raises(SpecificationError, match="score"):
        model_of(cigar, Ridge()).fit(score="iv")
    res = model_of(cigar, Ridge()).fit()
    with pytest.raises(SpecificationError, match="effects=False"):
        res.predict(cigar)
    with pytest.raises(SpecificationError, match="Effects are not recovered"):
        res.effects()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(res.predict() + res.resid, np.log(cigar["sales"]), atol=1e-10)
