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
# # Dynamic panels with common shocks
#
# Today's outcome depends on yesterday's, units differ, and shocks hit them all at once, each with its own strength.
# How far off is the coefficient of the lag if one of these is ignored, what is left when none is, and do 95 %
# intervals cover in 95 % of samples? Everything here is simulated, so the truth is known.
#
# The design is "D" of `gife.datasets.simulate`, with two factors and three groups:
#
# $$
# y_{it} = \rho_{g_i} y_{i,t-1} + x_{it}'a_{g_i} + \lambda_i'f_t + \varepsilon_{it},
# \qquad \rho = .4, .6, .8,
# $$
#
# where $x$ moves with the common shocks $\lambda_i'f_t$, and $f_t$ is itself autocorrelated.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import gifepanel as gife

# %% [markdown]
# ## 1. A bias that no number of units removes
#
# Begin with less: no shocks, one $\rho = .6$, an effect for each unit. *Question: is least squares with unit effects
# right if there are enough units?* The within transformation subtracts the unit's mean, and the mean has the past
# errors in it that the lag also has. Nickell (1981) has the limit for many units; its leading term is $-(1+\rho)/T$.


# %%
def autoregression(n_units, n_times, rho, seed):
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=n_units)
    y = np.empty((n_units, n_times + 51))
    y[:, 0] = effect / (1 - rho)
    for t in range(1, n_times + 51):
        y[:, t] = rho * y[:, t - 1] + effect + rng.normal(size=n_units)
    used = y[:, 50:]
    index = pd.MultiIndex.from_product([range(n_units), range(n_times + 1)], names=["unit", "time"])
    return pd.DataFrame({"y": used.ravel()}, index=index)


def nickell(rho, n_times):
    """Limit of the bias for many units (Nickell 1981, eq. 18)."""
    inner = 1 - (1 - rho**n_times) / (1 - rho) / n_times
    return -(1 + rho) / (n_times - 1) * inner / (1 - 2 * rho / ((1 - rho) * (n_times - 1)) * inner)


rows = []
for n_units in (100, 400):
    for n_times in (6, 12, 24):
        fits = [
            gife.PartialledOLS.from_formula("y ~ L(y, 1) | unit", autoregression(n_units, n_times, 0.6, seed)).fit()
            for seed in range(20)
        ]
        bias = np.mean([fit.params["L(y, 1)"] for fit in fits]) - 0.6
        rows.append({"units": n_units, "periods": n_times, "bias": bias, "Nickell": nickell(0.6, n_times)})
print(pd.DataFrame(rows).set_index(["units", "periods"]).round(3).to_string())

# %% [markdown]
# Four times as many units: the same bias. Twice as many periods: half of it. `L(y, 1)` is the lag within the unit; it
# never reaches into the unit before.
#
# ## 2. One panel, four estimators
#
# Now the full design, 100 units and 50 periods. *Question: what do estimators say that leave out shocks, or groups,
# or both?*

# %%
panel = gife.datasets.simulate("D", n_entities=100, n_times=50, random_state=1)
print(panel.formula)
truth = pd.DataFrame(panel.truth.alpha, columns=["lag", "x1", "x2"], index=pd.Index([1, 2, 3], name="group"))
print(truth.to_string())

# %%
effects = gife.PartialledOLS.from_formula("y ~ L(y, 1) + x1 + x2 | entity", panel.data).fit()
two_way = gife.PartialledOLS.from_formula("y ~ L(y, 1) + x1 + x2 | entity + time", panel.data).fit()
factors = gife.InteractiveFE.from_formula(panel.formula, panel.data, n_factors=2).fit()
model = gife.GroupedIFE.from_formula(panel.formula, panel.data, n_groups=3, n_factors=2)
grouped = model.fit()

shares = panel.truth.groups[:, None] == [1, 2, 3]
mean_truth = shares.mean(axis=0) @ truth.to_numpy()
table = pd.DataFrame(
    {
        "truth, mean over units": mean_truth,
        "entity effects": effects.params.to_numpy(),
        "entity and time effects": two_way.params.to_numpy(),
        "factors, one slope": factors.params.to_numpy(),
        "factors and groups, mean": shares.mean(axis=0) @ grouped.params_by_group.to_numpy(),
    },
    index=truth.columns,
).T
print(table.round(3).to_string())
print("\nin their group:", f"{(grouped.groups.to_numpy() == panel.truth.groups).mean():.0%}")

# %% [markdown]
# - Effects alone leave the shocks in the error. $x$ moves with them, so its slopes are too large, and the
#   autocorrelated shocks pass for persistence.
# - Time effects take out a shock that hits everyone alike. These do not.
# - Factors take the shocks out, but one slope for three groups is not the mean of three: units with a persistent
#   outcome have more variance in the lag and pull harder (Pesaran and Smith 1995).
# - With both, the slopes of every group are near the truth:

# %%
ax = grouped.plot.coefficients()
for group, shift in zip(truth.index, (-0.31, 0.0, 0.31), strict=True):
    ax.plot(truth.loc[group], np.arange(3) + shift, "|", color="black", markersize=13, markeredgewidth=1.6)
ax.set_xlabel("coefficient with its 95 % confidence interval; black: the truth")
plt.show()

# %% [markdown]
# ## 3. The bias that is left, and its correction
#
# Factors are estimated from the same periods, and the lag is correlated with past errors. The least-squares slopes
# therefore have a bias of order $1/T$, as in the first section (Moon and Weidner 2017). The package corrects it when
# the lag of the outcome is among the regressors, and says so in the summary. Two other ways are there on request:
#
# - `bias_correction=True` also corrects what comes from heteroskedastic and correlated errors,
# - `"jackknife"` fits both halves of the periods and extrapolates (Dhaene and Jochmans 2015).

# %%
short = gife.datasets.simulate("D", n_entities=100, n_times=25, random_state=2)
model = gife.GroupedIFE.from_formula(short.formula, short.data, n_groups=3, n_factors=2)
ways = {"none": False, "dynamic (default)": None, "analytic": True, "jackknife": "jackknife"}
fits = {name: model.fit(bias_correction=way) for name, way in ways.items()}
lag = pd.DataFrame({name: fit.params_by_group["L(y, 1)"] for name, fit in fits.items()})
lag["truth"] = truth["lag"]
lag["std. error"] = fits["none"].bse_by_group["L(y, 1)"]
print(lag.round(4).to_string())

# %% [markdown]
# Corrections are of the size of the standard error or less. That is enough to matter: an interval that sits half a
# standard error to one side covers less than it says.
#
# ## 4. Bias and coverage by simulation
#
# *Question: how large are bias and coverage of the lag, with each correction, and how do they change with $T$?* A
# small Monte Carlo through the public interface: 20 panels for each $T$, three groups each. The standard error of a
# coverage near 95 % is then about three points; `docs/accuracy.md` has 100 panels.

# %%
DRAWS = 20
WAYS = {name: name for name in ("moon-weidner-b1", "moon-weidner")} | {"default": None, "jackknife": "jackknife"}


def one_draw(n_times, seed):
    """Estimates, standard errors and truth of the lag, by correction and group."""
    panel = gife.datasets.simulate(
        "D", 100, n_times, random_state=np.random.SeedSequence(2022, spawn_key=(n_times, seed))
    )
    model = gife.GroupedIFE.from_formula(panel.formula, panel.data, n_groups=3, n_factors=2)
    rows = []
    for name, way in WAYS.items():
        fit = model.fit(bias_correction=way, groups_known=True)
        names = [f"L(y, 1)[{g}]" for g in (1, 2, 3)]
        accuracy = (fit.groups.to_numpy() == panel.truth.groups).mean()
        estimates = {name: fit.params[names]}
        if name == "default":
            estimates["none"] = fit.params_uncorrected[names]
        for correction, values in estimates.items():
            for g in range(3):
                rows.append(
                    {
                        "periods": n_times,
                        "correction": correction,
                        "error": values.iloc[g] - panel.truth.alpha[g, 0],
                        "se": fit.bse[names].iloc[g],
                        "accuracy": accuracy,
                    }
                )
    return rows


start = time.perf_counter()
draws = pd.DataFrame([row for n_times in (15, 25, 50) for seed in range(DRAWS) for row in one_draw(n_times, seed)])
draws["covered"] = draws["error"].abs() < 1.96 * draws["se"]
print(f"{time.perf_counter() - start:.0f} seconds")

order = ["none", *WAYS]
by = draws.groupby(["periods", "correction"])
result = pd.DataFrame(
    {
        "bias": by["error"].mean(),
        "bias, MC error": by["error"].std() / np.sqrt(3 * DRAWS),
        "RMSE": by["error"].apply(lambda v: np.sqrt((v**2).mean())),
        "coverage": by["covered"].mean(),
        "in their group": by["accuracy"].mean(),
    }
).reindex(order, level="correction")
print(result.round(4).to_string())

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.1), layout="constrained", sharex=True)
looks = {
    "none": ("0.35", "o"),
    "moon-weidner-b1": ("#56B4E9", "s"),
    "moon-weidner": ("#009E73", "^"),
    "default": ("#0072B2", "v"),
    "jackknife": ("#E69F00", "D"),
}
for number, (name, (color, marker)) in enumerate(looks.items()):
    own = result.xs(name, level="correction")
    x = np.arange(3) + 0.12 * (number - 2)
    axes[0].errorbar(x, own["bias"], yerr=2 * own["bias, MC error"], color=color, marker=marker, ls="", capsize=2)
    wide = 2 * np.sqrt(own["coverage"] * (1 - own["coverage"]) / (3 * DRAWS))
    axes[1].errorbar(x, own["coverage"], yerr=wide, color=color, marker=marker, ls="", capsize=2, label=name)
axes[0].axhline(0, color="0.6", linewidth=0.8, zorder=0)
axes[1].axhline(0.95, color="0.6", linewidth=0.8, zorder=0)
axes[0].set_title("Bias of the lag", loc="left", fontsize="medium")
axes[1].set_title("Coverage of 95 % intervals", loc="left", fontsize="medium")
for ax in axes:
    ax.set_xticks(range(3), ["15", "25", "50"])
    ax.set_xlabel("periods")
axes[1].legend(frameon=False, fontsize="small", loc="lower right", title="correction")
plt.show()

# %% [markdown]
# Bars are two Monte Carlo standard errors.
#
# - **Without correction** the bias halves when the periods double, as it should, and coverage is short of 95 % even
#   with 50 periods: standard errors shrink too.
# - **The published first term** (`moon-weidner-b1`) takes away more than half of the bias. All three published terms
#   (`moon-weidner`) also correct for heteroskedasticity and correlation that this design has not: they pay with a
#   little noise.
# - **The default** gives back what the projection of residuals hides of that term: it leaves the least with 15 and 25
#   periods, and brings coverage to where it can be with groups that are themselves estimated.
# - **The jackknife** has the smallest bias with 50 periods. With 15, its halves of seven and eight periods are too
#   short for two factors and three groups, and it overshoots.
# - **With 15 periods no interval is right.** Some units are in the wrong group, and standard errors take the groups
#   as known here (`groups_known=True`), as in the stored study below. By default they allow for estimated groups.
#
# ## 5. Beside the stored study
#
# `docs/accuracy.md` has the same design and the published terms with 100 panels, each with other random numbers.
# *Question: do twenty panels tell the same story?*

# %%
stored = pd.DataFrame(
    [
        (25, "none", -0.0096, 0.817),
        (25, "moon-weidner-b1", -0.0033, 0.927),
        (25, "moon-weidner", -0.0039, 0.923),
        (50, "none", -0.0045, 0.877),
        (50, "moon-weidner-b1", -0.0010, 0.923),
        (50, "moon-weidner", -0.0013, 0.913),
    ],
    columns=["periods", "correction", "bias, stored", "coverage, stored"],
).set_index(["periods", "correction"])
beside = stored.join(result)[["bias", "bias, stored", "coverage", "coverage, stored"]]
print(beside.round(4).to_string())
# differences within three Monte Carlo standard errors, the 100 panels' included
both = np.sqrt(1 + DRAWS / 100)
assert ((beside["bias"] - beside["bias, stored"]).abs() < 3 * both * result["bias, MC error"].loc[beside.index]).all()
spread = np.sqrt(beside["coverage, stored"] * (1 - beside["coverage, stored"]) / (3 * DRAWS))
assert ((beside["coverage"] - beside["coverage, stored"]).abs() < 3 * both * spread).all()

# %% [markdown]
# It does, within Monte Carlo error.
#
# ## What to take home
#
# - Put the shocks in as factors and the groups in as groups; time effects do neither.
# - Leave the correction on: it is the default with a lag of the outcome among the regressors. Compare with
#   `bias_correction="jackknife"` when there are 25 periods or more. If they differ by more than a standard error,
#   there are too few periods.
# - Look at `res.membership`: where many units are between groups, standard errors are too small.
#
# ## References
#
# G. Dhaene and K. Jochmans (2015), *Split-panel jackknife estimation of fixed-effect models*, Review of Economic
# Studies 82, 991–1030. H. R. Moon and M. Weidner (2017), *Dynamic linear panel regression models with interactive
# fixed effects*, Econometric Theory 33, 158–195. S. Nickell (1981), *Biases in dynamic models with fixed effects*,
# Econometrica 49, 1417–1426. M. H. Pesaran and R. Smith (1995), *Estimating long-run relationships from dynamic
# heterogeneous panels*, Journal of Econometrics 68, 79–113. L. Su and G. Ju (2018), *Identifying latent grouped
# patterns in panel data models with interactive fixed effects*, Journal of Econometrics 206, 554–573.
