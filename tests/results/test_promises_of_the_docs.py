"""What the documentation says of results, one by one."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import anova_lm

import gifepanel as gife
from gifepanel.exceptions import MissingPackageError, SpecificationError, SpecificationWarning

ROOT = Path(gife.__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:Group . has one entity")


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    cigar = gife.datasets.load_cigar()
    short = cigar[cigar.index.get_level_values("year") < 1971]
    return {
        "plain": gife.PartialledOLS.from_formula("sales ~ price + ndi", cigar).fit(),
        "frames": gife.PartialledOLS(cigar["sales"], cigar[["price", "ndi"]]).fit(),
        "effects": gife.PartialledOLS.from_formula("sales ~ price + ndi | state", cigar).fit(),
        "factors": gife.InteractiveFE.from_formula("sales ~ price + ndi", cigar, n_factors=1).fit(),
        "short": gife.GroupedIFE.from_formula("sales ~ price | state", short, n_groups=2, n_factors=1).fit(),
    }


@pytest.mark.parametrize("which", ["plain", "frames", "effects", "factors"])
@pytest.mark.parametrize("typ", [1, 2])
def test_anova_of_one_fit_says_what_is_there(fits: dict[str, Any], which: str, typ: int) -> None:
    with pytest.raises(SpecificationError, match="anova_lm of one model") as caught:
        anova_lm(fits[which], typ=typ)
    assert "wald_test_terms" in str(caught.value.fix)
    assert len(fits["effects"].wald_test_terms().table) == 2


@pytest.mark.parametrize("which", ["plain", "effects", "factors", "short"])
def test_names_in_the_summary(fits: dict[str, Any], which: str) -> None:
    res = fits[which]
    names = [f"slope {j}" for j in range(len(res.params))]
    text = str(res.summary(yname="packs", xname=names, title="A title", alpha=0.1))
    assert text.splitlines()[0].strip() == "A title" and "[0.05" in text
    assert re.search(r"Dep\. variable: +packs", text)
    for name, coef in zip(names, res.params, strict=True):
        assert re.search(rf"^{name} +{re.escape(f'{coef:.4f}'[:6])}", text, flags=re.MULTILINE)
    for fmt in ("as_html", "as_latex", "as_csv"):
        assert "packs" in getattr(res.summary(yname="packs", xname=names), fmt)()
    assert "packs" not in str(res.summary())
    with pytest.raises(SpecificationError, match="xname has 1 names") as caught:
        res.summary(xname=["one"])
    res.summary(**eval(f"dict({caught.value.fix})"))


def test_own_folds_are_not_drawn_anew() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=["y", "x", "z"]).assign(fold=np.arange(60) % 4)
    model = gife.PartialledOLS.from_formula("y ~ x", data, partial="z", learner=linear.LinearRegression())
    with pytest.raises(SpecificationError, match="n_repeats is 3") as caught:
        model.fit(folds="fold", n_repeats=3)
    assert len(model.fit(**eval(f"dict({caught.value.fix})")).params) == 1
    model.fit(folds=np.vstack([np.arange(60) % 4, np.arange(60) // 15]))


def test_short_panels_and_choices_at_the_edge_have_a_note(fits: dict[str, Any]) -> None:
    assert "8 periods of each entity" in str(fits["short"].summary())
    assert "periods of each entity: with" not in str(fits["factors"].summary())
    panel = gife.datasets.simulate("S", n_entities=30, n_times=20, random_state=1)
    edge = gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_factors=range(0, 2)).fit()
    assert "is the largest of those tried" in str(edge.summary())


def test_automatic_choice_at_the_edge_warns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 28, 1))
    y = x[..., 0] + 3 * rng.normal(size=(30, 12)) @ rng.normal(size=(12, 28)) + rng.normal(size=(30, 28))
    model = gife.InteractiveFE(y, x, n_factors="auto")
    with pytest.warns(SpecificationWarning, match="8, is the largest of those tried") as said:
        res = model.fit()
    assert res.n_factors == 8 and said[0].message.fix == "n_factors=range(8, 13)"


def test_pictures_without_matplotlib(fits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingPackageError, match="matplotlib") as caught:
        fits["effects"].plot.coefficients()
    assert caught.value.fix == "python -m pip install matplotlib"


@pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="the tests of a source tree")
def test_demo_builds_an_environment_for_the_pictures_of_the_readme() -> None:
    rule = (ROOT / "Makefile").read_text().partition(".venv/stamp-run:")[2].partition("\n\n")[0]
    assert "EXTRAS := plot" in rule


def test_conventions_that_coming_from_names() -> None:
    """linearmodels' count with one nested effect, and default lags; statsmodels' t of CR3."""
    linearmodels: Any = pytest.importorskip("linearmodels")
    from linearmodels.datasets import wage_panel
    from statsmodels.formula.api import ols

    wages = wage_panel.load()
    model = gife.PartialledOLS.from_formula("lwage ~ union + married | nr", wages, entity="nr", time="year")
    theirs = linearmodels.PanelOLS.from_formula(
        "lwage ~ union + married + EntityEffects", wages.set_index(["nr", "year"])
    )
    debiased = theirs.fit(cov_type="clustered", cluster_entity=True, group_debias=True).std_errors["union"]
    ours = model.fit(cov_type="cluster", cov_kwds={"groups": "nr"}, ssc="fixest").bse["union"]
    n, k = 4360, 2
    np.testing.assert_allclose(ours, debiased * np.sqrt((n - k) / (n - k - 1)), rtol=1e-9)
    kernel = theirs.fit(cov_type="kernel").std_errors["union"]
    plain = model.fit(cov_type="driscoll-kraay", ssc="none").bse["union"]
    np.testing.assert_allclose(kernel, plain * np.sqrt(n / (n - k - 545)), rtol=1e-9)
    crv3 = ols("lwage ~ union", wages).fit(cov_type="cluster-crv3", cov_kwds={"groups": wages["nr"]})
    assert not crv3.use_t
