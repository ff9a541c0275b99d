# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A statsmodels workflow
#
# Results of gifepanel are results of statsmodels: what you know works here. This notebook walks through a working day
# with both: fit, compare, test, diagnose, predict, hand over, save. Wherever the same number can be had in two ways,
# both are computed and compared.
#
# linearmodels, stargazer, maketables and marginaleffects are optional; cells that need one that is not installed say
# so and go on.

# %%
import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy import log  # noqa: F401, for the formulas of statsmodels
from statsmodels.iolib.summary2 import summary_col
from statsmodels.regression.linear_model import RegressionResultsWrapper

import gifepanel as gife
import gifepanel.formula.api as gfa

cigar = gife.datasets.load_cigar()
DEMAND = "log(sales) ~ log(real_price) + log(real_income)"

# %% [markdown]
# ## 1. Fit
#
# Lower-case formula functions, `cov_type` and `cov_kwds` as in statsmodels; clusters may be given by name.

# %%
flat = cigar.reset_index()
pooled = smf.ols(DEMAND, flat).fit(cov_type="cluster", cov_kwds={"groups": flat["state"].astype("category").cat.codes})
two_way = gfa.pols(f"{DEMAND} | state + year", cigar).fit(cov_type="cluster", cov_kwds={"groups": "state"})
factors = gfa.ife(f"{DEMAND} | state", cigar, n_factors=3).fit(cov_type="cluster", cov_kwds={"groups": "state"})
groups = gfa.gife(f"{DEMAND} | state", cigar, n_groups=2, n_factors=3).fit(
    cov_type="cluster", cov_kwds={"groups": "state"}
)
print("a result of statsmodels:", isinstance(two_way, RegressionResultsWrapper))
print(two_way.params, two_way.conf_int(), sep="\n\n")

# %% [markdown]
# *Question: is that the regression with all the dummies?* Ask statsmodels.

# %%
dummies = smf.ols(f"{DEMAND} + C(state) + C(year)", flat).fit()
classical = gfa.pols(f"{DEMAND} | state + year", cigar).fit()
both = pd.DataFrame(
    {
        "gifepanel": [*classical.params, *classical.bse, classical.df_resid, classical.rsquared, classical.aic],
        "77 columns": [
            *dummies.params.iloc[-2:],
            *dummies.bse.iloc[-2:],
            dummies.df_resid,
            dummies.rsquared,
            dummies.aic,
        ],
    },
    index=["price", "income", "se price", "se income", "df", "R-squared", "AIC"],
)
print(both)
assert np.allclose(both["gifepanel"], both["77 columns"], rtol=1e-8)

# %% [markdown]
# All the way to AIC: absorbed effects are counted as the parameters they are.
#
# ## 2. Compare
#
# `summary_col` takes results of both packages; rows about effects, factors, groups and covariance appear by
# themselves.

# %%
print(summary_col([pooled, two_way, factors], stars=True, model_names=["pooled", "two-way", "factors"]))

# %% [markdown]
# `gife.compare` also puts groups side by side, and takes statsmodels' results too.

# %%
table = gife.compare(pooled, groups, names=["pooled", "groups"])
print(table)

# %% [markdown]
# ## 3. Test
#
# Hypotheses in words or as arrays. With groups the coefficients carry the group's number.

# %%
print(two_way.t_test("log(real_price) = -1"))
print(two_way.f_test("log(real_price) = -1, log(real_income) = 0.5"))
print(groups.wald_test("log(real_price)[1] = -0.5", scalar=True))

# %% [markdown]
# A test of one group against another would be naive, and says so: groups were chosen to differ. The notebook on
# cigarette demand shows what chance does to it; `groups.test_groups()` is the test that allows for it.
#
# ## 4. Robust covariances
#
# *Question: the same name, the same number?* Mostly, and where not, on purpose. HC3 needs the leverage of every
# dummy; here it is exact. For clusters, packages count the absorbed effects differently: `ssc=` says how.

# %%
errors = {}
for kind, options in {
    "nonrobust": {},
    "HC1": {},
    "HC3": {},
    "cluster": {"groups": flat["state"].astype("category").cat.codes.to_numpy()},
}.items():
    ours = gfa.pols(f"{DEMAND} | state + year", cigar).fit(cov_type=kind, cov_kwds=options or None, ssc="statsmodels")
    theirs = dummies.get_robustcov_results(kind, **options) if kind != "nonrobust" else dummies
    errors[kind] = {"gifepanel": ours.bse.iloc[0], "with dummies": np.asarray(theirs.bse)[-2]}
errors = pd.DataFrame(errors).T
print("standard error of the price elasticity\n", errors.round(6).to_string())
assert np.allclose(errors["gifepanel"], errors["with dummies"], rtol=1e-7)

# %%
for convention in ("fixest", "stata", "statsmodels", "none"):
    fit = gfa.pols(f"{DEMAND} | state + year", cigar).fit(
        cov_type="cluster", cov_kwds={"groups": "state"}, ssc=convention
    )
    print(f"clustered by state, ssc={convention!r:14} {fit.bse.iloc[0]:.5f}")

# %% [markdown]
# ## 5. Diagnose
#
# statsmodels' tests on residuals and columns. `het_breuschpagan` wants a constant among the columns.

# %%
from statsmodels.stats.diagnostic import het_breuschpagan, het_white, linear_reset
from statsmodels.stats.stattools import jarque_bera

columns = sm.add_constant(np.asarray(two_way.model.exog))
print(f"Breusch-Pagan p = {het_breuschpagan(two_way.resid, columns)[1]:.2g}", end=", ")
print(f"White p = {het_white(two_way.resid, columns)[1]:.2g}", end=", ")
print(f"Jarque-Bera p = {jarque_bera(two_way.resid)[1]:.2g}", end=", ")
print(f"RESET p = {float(linear_reset(two_way, use_f=True).pvalue):.2g}")
print(two_way.vif().round(2).to_string())

# %% [markdown]
# *Question: and serial correlation?* Durbin–Watson and Breusch–Godfrey of statsmodels take one long series and run
# from one state into the next. The panel has tests of its own, which the factor models print in their summary:

# %%
print(gife.diagnostics.panel_durbin_watson(two_way.resid))
print(gife.diagnostics.born_breitung(two_way.resid))
print(factors.diagnostics()[["statistic", "pvalue"]].round(3).to_string())

# %% [markdown]
# What would be wrong for a model with absorbed effects is refused, with the way out:

# %%
from statsmodels.stats.diagnostic import acorr_breusch_godfrey

try:
    acorr_breusch_godfrey(two_way)
except gife.exceptions.GifepanelError as error:
    print(error)

# %% [markdown]
# Graphics of statsmodels work as well:

# %%
fig = plt.figure(figsize=(8, 3.2))
sm.graphics.plot_partregress_grid(two_way, fig=fig)
plt.show()

# %% [markdown]
# ## 6. Predict
#
# With intervals, that know how precisely the effects are estimated:

# %%
raised = cigar.loc[[("Texas", 1992), ("Utah", 1992)]].assign(real_price=lambda d: 1.1 * d["real_price"])
print(classical.get_prediction(raised).summary_frame().round(3).to_string())

# %% [markdown]
# ## 7. Hand over
#
# **As plain frames**, in the manner of R's broom:

# %%
print(groups.tidy()[["term", "estimate", "std_error", "p_value"]].round(4).to_string(index=False))
print(groups.glance().T.iloc[:6, 0].to_string())
print(groups.augment()[["sales", ".fitted", ".common", ".group"]].head(3).round(3).to_string())

# %% [markdown]
# **As a plain statsmodels result**, residualised or with every dummy, for what only statsmodels has:

# %%
plain, full = two_way.to_statsmodels(), two_way.to_statsmodels(dummies=True)
print(type(plain).__name__, len(plain.params), "coefficients;", type(full).__name__, len(full.params))
assert np.allclose(plain.params.iloc[:2], two_way.params) and np.allclose(
    full.params[two_way.params.index], two_way.params
)

# %% [markdown]
# **To other packages.** linearmodels first: its `PanelOLS` is the nearest relative.

# %%
try:
    from linearmodels.panel import PanelOLS
except ImportError:
    print("linearmodels is not installed: pip install linearmodels")
else:
    logs = np.log(cigar[["sales", "real_price", "real_income"]])
    theirs = PanelOLS(logs["sales"], logs[["real_price", "real_income"]], entity_effects=True, time_effects=True).fit()
    difference = np.r_[theirs.params, theirs.std_errors] - np.r_[classical.params, classical.bse]
    print(f"largest difference of coefficients and standard errors: {np.abs(difference).max():.1e}")
    assert np.allclose(theirs.params, classical.params) and np.allclose(theirs.std_errors, classical.bse)
    print(gife.interop.linearmodels.compare({"two-way": two_way, "factors": factors}, precision="std_errors").summary)

# %%
try:
    latex = gife.interop.stargazer.table([two_way, factors]).render_latex(escape=True)
except ImportError as error:
    print(error)
else:
    print("\n".join(latex.splitlines()[8:22]))

# %%
try:
    print(gife.interop.maketables.etable([two_way, factors], labels={"log(real_price)": "Real price"}).df.to_string())
except ImportError as error:
    print(error)

# %% [markdown]
# marginaleffects: the model has logs, the question is in cents. *What does a price of 100 instead of 80 cents do to
# log sales, and does the standard error come out as by hand?*

# %%
try:
    model = two_way.to_marginaleffects()
    from marginaleffects import avg_comparisons
except ImportError as error:
    print(error)
else:
    compared = avg_comparisons(model, variables={"real_price": [80, 100]})
    step = np.log(100 / 80)
    print(compared)
    print(f"by hand {step * two_way.params.iloc[0]:.6f}, standard error {step * two_way.bse.iloc[0]:.6f}")
    assert np.isclose(compared["estimate"][0], step * two_way.params.iloc[0], rtol=1e-6)
    assert np.isclose(compared["std_error"][0], step * two_way.bse.iloc[0], rtol=1e-4)

# %% [markdown]
# ## 8. Save
#
# `save`, `load`, `pickle`, and `remove_data` for a small file.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "groups.pickle"
    groups.save(path)
    size = path.stat().st_size
    again = sm.load(path)
    groups.save(path, remove_data=True)
    print(f"{size / 1000:.0f} kB with data, {path.stat().st_size / 1000:.0f} kB without")
assert np.allclose(again.params, groups.params)
assert pickle.loads(pickle.dumps(two_way)).params.equals(two_way.params)
print(again.params_by_group.round(3))

# %% [markdown]
# `docs/statsmodels.md` lists every method and function of statsmodels with what it does here; each line of that table
# is checked by a test.
