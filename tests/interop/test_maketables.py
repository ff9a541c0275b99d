"""maketables: our rows through its plug-in protocol, beside models of other packages."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import statsmodels.formula.api as smf

from gifepanel import PartialledOLS
from gifepanel.interop.maketables import etable, wrap
from tests.interop.conftest import demand

maketables = pytest.importorskip("maketables")


def number(cell: str) -> tuple[float, float, str]:
    """Coefficient, standard error and stars of a cell."""
    found = re.match(r"(-?[\d.]+)(\**)\s+\(([\d.]+)\)", cell)
    assert found
    return float(found[1]), float(found[3]), found[2]


def test_rows_of_every_kind(grouped: Any, single: Any, partialled: Any) -> None:
    ols = smf.ols("ls ~ lp + li", demand()).fit()
    frame = etable([grouped, single, partialled, ols]).df
    names = {f"lp[{k}]": f"lp, group {k}" for k in (1, 2, 3)}
    for res, column in ((grouped, 0), (single, 1), (partialled, 2), (ols, 3)):
        for name in ("lp[1]", "lp[3]") if res is grouped else ("lp", "li"):
            b, se, stars = number(frame.loc[("coef", names.get(name, name))].iloc[column])
            assert (b, se) == (round(res.params[name], 3), round(res.bse[name], 3))
            assert len(stars) == sum(res.pvalues[name] < level for level in (0.01, 0.05, 0.1))
    assert frame.loc[("fe", "state")].tolist() == ["x", "x", "x", "-"]
    assert frame.loc[("fe", "year")].tolist() == ["-", "x", "x", "-"]
    stats = frame.loc["stats"]
    assert stats.loc["Groups"].tolist() == ["3", "-", "-", "-"]
    assert stats.loc["Factors"].tolist() == ["2", "2", "-", "-"]
    assert stats.loc["Observations"].tolist() == ["1,380"] * 4
    assert stats.loc["S.E. type"].tolist() == ["nonrobust", "nonrobust", "by: state", "nonrobust"]
    for res, column in ((grouped, 0), (single, 1), (partialled, 2)):
        assert float(stats.loc["Within R²"].iloc[column]) == round(res.rsquared_within, 3)
        assert float(stats.loc["R²"].iloc[column]) == round(res.rsquared, 3)


def test_our_labels_stand_where_the_first_model_is_anothers(grouped: Any) -> None:
    ols = smf.ols("ls ~ lp + li", demand()).fit()
    stats = etable([ols, grouped]).df.loc["stats"]
    assert stats.loc["Groups"].tolist() == ["-", "3"]
    assert stats.loc["Factors"].tolist() == ["-", "2"]


def test_labels_reach_coefficients_of_groups(grouped: Any, single: Any) -> None:
    labels = {"lp": "Price", "state": "State effects"}
    index = etable([grouped, single], labels=labels).df.index.get_level_values(1)
    assert {"Price", "Price, group 1", "Price, group 3", "li, group 2", "State effects"} <= set(index)


def test_labels_of_the_data_are_used() -> None:
    data = demand()
    data.attrs["variable_labels"] = {"lp": "Log price", "ls": "Log sales"}
    frame = etable(PartialledOLS.from_formula("ls ~ lp | state", data).fit()).df
    assert ("coef", "Log price") in frame.index
    assert frame.columns[0][0] == "Log sales"


@pytest.mark.filterwarnings("ignore")  # of pyfixest about pandas
def test_beside_pyfixest(grouped: Any) -> None:
    pf = pytest.importorskip("pyfixest")
    data = demand()
    ours = PartialledOLS.from_formula("ls ~ lp + li | state", data).fit(
        cov_type="cluster", cov_kwds={"groups": "state"}
    )
    fixest = pf.feols("ls ~ lp + li | state", data.reset_index(), vcov={"CRV1": "state"})
    frame = etable([ours, fixest, grouped]).df
    for name in ("lp", "li"):
        cells = frame.loc[("coef", name)]
        assert number(cells.iloc[0]) == number(cells.iloc[1])
    for name in ("Within R²", "R²", "S.E. type", "Observations"):
        assert frame.loc[("stats", name)].iloc[0] == frame.loc[("stats", name)].iloc[1]
    assert frame.loc[("fe", "state")].tolist() == ["x", "x", "x"]


def test_adapter_by_itself(partialled: Any) -> None:
    adapter = wrap(partialled)
    table = adapter.__maketables_coef_table__
    np.testing.assert_allclose(table[["ci90l", "ci90u"]], partialled.conf_int(0.1), rtol=1e-12)
    assert not any(hasattr(adapter, name) for name in ("params", "bse", "pvalues"))
    assert [adapter.__maketables_stat__(key) for key in ("n_clusters", "df_resid", "Entities")] == [46, 1303, 46]
    assert adapter.__maketables_stat__("fstat_1st") is None
    text = maketables.ETable([partialled.to_maketables()], model_stats=["N", "rmse", "aic", "Periods"]).make("tex")
    assert "Periods & 30" in text
