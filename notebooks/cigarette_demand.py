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
# # Cigarette demand with latent groups
#
# By how much do sales of cigarettes fall when their price rises by one per cent, and is it the same in every state?
# From the raw data to a table, with everything that could go wrong on the way looked at.
#
# The panel of Baltagi and Levin (1992) and of Baltagi, Griffin and Xiong (2000): 46 states of the USA, 1963 to 1992.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

import gifepanel as gife

cigar = gife.datasets.load_cigar()
columns = ["sales", "real_price", "real_income", "price", "cpi", "ndi"]
print(cigar[columns].describe().loc[["mean", "min", "max"]].round(1))

# %% [markdown]
# `sales` is packs per head and year, `real_price` cents of 1982–84 for a pack, `real_income` dollars of 1982–84 per
# head.
#
# ## 1. The raw data
#
# *Question: what moves, and does it move together?*

# %% tags=["hide-input"]
EVENTS = {1964: "report", 1971: "ad ban", 1983: "tax doubled"}


def mark_events(ax, words=True):
    for year, text in EVENTS.items():
        ax.axvline(year, color="0.55", linewidth=0.8, linestyle=":", zorder=0)
        if words:
            where = dict(xycoords=("data", "axes fraction"), textcoords="offset points")
            ax.annotate(text, (year, 0.0), xytext=(2, 3), fontsize="x-small", color="0.35", **where)


wide = cigar["sales"].unstack("state")
fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.3), layout="constrained")
axes[0].plot(wide.index, wide, color="0.8", linewidth=0.7)
for state, color in (("New Hampshire", "#D55E00"), ("Kentucky", "#0072B2"), ("Utah", "#009E73")):
    axes[0].plot(wide.index, wide[state], color=color, linewidth=1.5)
    axes[0].text(1992.4, wide.loc[1992, state], state, color=color, va="center", fontsize="small", clip_on=False)
axes[0].plot(wide.index, wide.median(axis=1), color="black", linewidth=1.8, label="median")
axes[0].set_ylabel("packs per head")
axes[0].legend(frameon=False, fontsize="small")
price = cigar["real_price"].unstack("state")
axes[1].plot(price.index, price, color="0.8", linewidth=0.7)
axes[1].plot(price.index, price.median(axis=1), color="black", linewidth=1.8)
axes[1].set_ylabel("real price of a pack, cents of 1982-84")
for ax in axes:
    ax.set_xlim(1962.5, 1993)
mark_events(axes[0])
mark_events(axes[1], words=False)
plt.show()

# %% [markdown]
# Three things to see.
#
# - Levels differ by a factor of three or more, and stay. New Hampshire sells to its neighbours, Kentucky grows
#   tobacco, Utah does not smoke. Effects of the states take care of that.
# - There is a common rise and fall: the report of the Surgeon General in 1964, the ban of advertising on radio and
#   television from January 1971, the federal excise doubled from 8 to 16 cents in January 1983.
# - The real price is part of this history: it falls with inflation until 1981, then rises by three quarters. Whatever
#   else turned people away from smoking in the 1980s came at the same time. **That is the danger:** price gets the
#   credit for history.
#
# ## 2. What the usual estimators say
#
# *Question: how much does the answer depend on what is held fixed?*

# %%
DEMAND = "log(sales) ~ log(real_price) + log(real_income)"
by_state = {"cov_type": "cluster", "cov_kwds": {"groups": "state"}}
state_codes = cigar.index.codes[0]
pooled = smf.ols("np.log(sales) ~ np.log(real_price) + np.log(real_income)", cigar).fit(
    cov_type="cluster", cov_kwds={"groups": state_codes}
)
state_effects = gife.PartialledOLS.from_formula(f"{DEMAND} | state", cigar).fit(**by_state)
two_way = gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", cigar).fit(**by_state)

answers = {}  # name -> (price, its standard error, income, its standard error)


def note(name, params, errors):
    answers[name] = (*np.asarray(params)[:2], *np.asarray(errors)[:2])


note("pooled least squares", pooled.params.iloc[1:], pooled.bse.iloc[1:])
note("state effects", state_effects.params, state_effects.bse)
note("state and year effects", two_way.params, two_way.bse)


def show():
    frame = pd.DataFrame(answers, index=["price", "income", "se price", "se income"]).T
    return frame[["price", "se price", "income", "se income"]].round(3).to_string()


print(show())

# %% [markdown]
# The price elasticity is -0.70 or -1.03, the income elasticity zero or a half. Year effects assume that history hit
# every state alike. If it did, residuals of different states would be uncorrelated.

# %%
left = two_way.resid.unstack("state")
correlation = left.corr().to_numpy()[np.triu_indices(46, 1)]
print(f"mean absolute correlation between states: {np.abs(correlation).mean():.2f}")
print(f"if they were independent, about {np.sqrt(2 / np.pi / 30):.2f}")

# %% [markdown]
# They are far from it. States react to the common history each in its own strength: that is a factor model.
#
# ## 3. How many factors?
#
# *Question: what does the price elasticity do as factors are added, and when is the common part gone?*
# `InteractiveFE` has one slope for all, $\lambda_i'f_t$ for history, and state effects.

# %%
rows = []
for n_factors in range(7):
    fit = gife.InteractiveFE.from_formula(f"{DEMAND} | state", cigar, n_factors=n_factors).fit(**by_state)
    tests = fit.diagnostics()
    rows.append(
        {
            "factors": n_factors,
            "price": fit.params["log(real_price)"],
            "income": fit.params["log(real_income)"],
            "dependence left (CD)": tests["statistic"].iloc[-1],
            "Durbin-Watson": tests.loc["Panel Durbin-Watson", "statistic"],
        }
    )
    if n_factors == 3:
        interactive = fit
        note("3 factors, one slope", fit.params, fit.bse)
print(pd.DataFrame(rows).set_index("factors").round(3).to_string())

# %%
choice = gife.select(f"{DEMAND} | state", cigar, n_factors=range(7), n_groups=range(1, 6))
print(choice)

# %% [markdown]
# The rules do not agree, and it is better to know it than to take the first answer.
#
# - The information criteria take as many factors as they are offered: errors are autocorrelated, and every factor
#   catches some of that. Eigenvalue ratios say one or two. The test that allows for the memory of the errors, which
#   `auto` goes by, says five, the last two by a narrow margin.
# - From three factors on, the price elasticity stays near -0.3, and the cross-section dependence is small for the
#   first time.
#
# We go on with **three factors** and look at the others under robustness. The number of groups, given three factors:

# %%
print(gife.select(f"{DEMAND} | state", cigar, n_factors=3, n_groups=range(1, 6)))

# %% [markdown]
# ## 4. Two groups of states

# %%
model = gife.GroupedIFE.from_formula(f"{DEMAND} | state", cigar, n_groups=2, n_factors=3)
res = model.fit(**by_state)
for group in (1, 2):
    note(f"3 factors, group {group} of 2", res.params_by_group.loc[group], res.bse_by_group.loc[group])
print(res.summary())

# %% [markdown]
# Group 1 reacts twice as strongly to the price as group 2, and more than twice as strongly to income.
#
# *Question: who is where, and how clearly?* First the slopes of every state by itself, sorted; the lines are the two
# group slopes, with bands for their intervals. Then the margin: how much worse a state would fit in the other group.

# %%
ax = res.plot.unit_slopes("log(real_price)")
plt.show()

# %%
ax = res.plot.membership()
plt.show()

# %% [markdown]
# The slopes of single states are noisy: from 0.0 to -0.6, on 30 observations each, with bars of one standard error.
# The small hollow marks are drawn to the group as far as noise explains the distance: all the way. No one would read
# two groups off the dots alone. Groups are found by how well whole time series fit, and 31 of 46 states could be in the
# other group as well: the hollow ones, whose own is less than 95 % probable.
#
# Geography was not used. Here are the groups on a map of tiles, one for each state:

# %% tags=["hide-input"]
TILES = """
-- -- -- -- -- -- -- -- -- -- ME
-- -- -- -- -- -- -- -- -- VT NH
WA ID MT ND MN IL WI MI NY RI MA
-- NV WY SD IA IN OH PA NJ CT --
CA UT -- NE MO KY WV VA MD DE --
-- AZ NM KS AR TN -- SC DC -- --
-- -- -- OK LA MS AL GA -- -- --
-- -- -- TX -- -- -- -- FL -- --
"""
CODES = """
AL AZ AR CA CT DE DC FL GA ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY ND OH OK PA RI SC SD TN TX UT
VT VA WA WV WI WY
"""
code = pd.Series(CODES.split(), index=res.groups.index)  # both in alphabetical order of the states' names
tile = {name: (x, -y) for y, row in enumerate(TILES.split("\n")[1:-1]) for x, name in enumerate(row.split())}
assert set(code) == set(tile) - {"--"}


def draw_map(ax, color, light, title):
    """A tile for each state; `color` by state, pale where `light`."""
    for state, name in code.items():
        x, y = tile[name]
        alpha = 0.3 if light[state] else 0.95
        ax.add_patch(plt.Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, color=color[state], alpha=alpha, linewidth=0))
        ax.text(x, y, name, ha="center", va="center", fontsize="small", weight="normal" if light[state] else "bold")
    ax.set(xlim=(-0.6, 10.6), ylim=(-7.6, 0.6), aspect="equal")
    ax.axis("off")
    ax.set_title(title, loc="left", fontsize="medium")


unclear = ~res.membership["clear"]  # hollow in the picture above
fig, ax = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
colors = res.groups.map({1: "#0072B2", 2: "#E69F00"})
draw_map(ax, colors, unclear, "Blue: group 1, reacts more. Orange: group 2, less. Pale: unclear.")
plt.show()

# %% [markdown]
# A block of orange from Montana to Kansas, a blue rim in the South: do neighbours share a group? *Question: more
# often than chance would have it?* Count the pairs of tiles that touch and have one colour, then shuffle the colours.

# %%
places = [tile[name] for name in code]
touching = [
    (i, j)
    for i in range(46)
    for j in range(i)
    if abs(places[i][0] - places[j][0]) + abs(places[i][1] - places[j][1]) == 1
]
first, second = np.array(touching).T
label = res.groups.to_numpy()
same = (label[first] == label[second]).sum()
rng = np.random.default_rng(0)
shuffled = np.array([(mixed[first] == mixed[second]).sum() for mixed in (rng.permutation(label) for _ in range(2000))])
print(f"{same} of {len(touching)} pairs have one colour; shuffled {shuffled.mean():.1f}, as many or more in", end=" ")
print(f"{(shuffled >= same).mean():.0%} of shuffles")

# %% [markdown]
# The eye was wrong: a third of all shuffles look at least as orderly. Groups of demand are not regions, as far as
# these data can say. It is worth the six lines, since a map always shows something.
#
# ## 5. Factors and history
#
# *Question: what are the factors?* They are known up to rotation only, so a single factor has no meaning of its own.
# Their joint contribution does: $\bar\lambda'f_t$, averaged over states, is the same under any rotation. It is what
# happened to log sales beyond prices and incomes.

# %% tags=["hide-input"]
common = res.loadings @ res.factors.T  # state by year
fig, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
for group, color, line in ((1, "#0072B2", "-"), (2, "#E69F00", "-")):
    ax.plot(
        common.columns, common[res.groups == group].mean(), line, color=color, linewidth=1.8, label=f"group {group}"
    )
ax.plot(common.columns, common.mean(), color="black", linewidth=1.2, linestyle="--", label="all")
ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
ax.set_ylabel("mean common part of log sales")
ax.legend(frameon=False, fontsize="small")
mark_events(ax)
plt.show()
fall = common.mean()
print(f"1963 to 1970: {fall[1970] - fall[1963]:+.2f}, 1970 to 1982: {fall[1982] - fall[1970]:+.2f}", end=", ")
print(f"1982 to 1992: {fall[1992] - fall[1982]:+.2f}")

# %%
ax = res.plot.factors()
mark_events(ax, words=False)
plt.show()

# %% [markdown]
# At given prices and incomes sales fell after the report of 1964, and the fall paused in 1971, when the
# advertisements left radio and television, and with them the messages against smoking that stations had to carry
# beside them. From the tax increase of 1983 on they fell by two per cent a year and more, beyond what the price
# explains. One cannot read causes off a factor: three events and thirty years. What matters here is that this history
# is in the factors and not in the price elasticity.
#
# ## 6. What is left
#
# *Question: are the residuals what they should be?*

# %%
print(res.diagnostics()[["statistic", "pvalue"]].round(3).to_string())

# %%
ax = res.plot.residuals()
plt.show()
worst = np.sqrt((res.resid**2).groupby("state").mean()).nlargest(5)
print("largest residual standard deviation:", ", ".join(f"{state} {value:.3f}" for state, value in worst.items()))

# %% [markdown]
# Not quite.
#
# - Tails are fat (kurtosis 5.6) and a handful of states and years are badly fitted: New Hampshire in the 1960s,
#   states that live on visitors. Least squares stays consistent; one would not want an interval for a single year.
# - Residuals are autocorrelated (Durbin–Watson 1.48). Standard errors are clustered by state for that reason: they
#   are up to three quarters larger than those that assume independence.
# - Some cross-section dependence is left (p = 0.010), a trifle beside the 42.8 without factors.
#
# ## 7. Last year's sales
#
# *Question: does it go away once habits are in the model?* Baltagi and Levin (1992) have last year's sales and the
# lowest price of the adjoining states among the regressors. With effects of states and years, the number of factors
# left open:

# %%
habits = f"{DEMAND} + L(log(sales)) + log(pimin / cpi) | state + year"
dynamic = gife.InteractiveFE.from_formula(habits, cigar, n_factors=range(5)).fit(cov_type="cluster")
print(dynamic.summary())

# %%
print(dynamic.long_run())

# %%
states = gife.GroupedIFE.from_formula(habits, cigar, n_groups=range(1, 4), n_factors=dynamic.n_factors)
print("groups:", states.fit(cov_type="cluster").n_groups)

# %% [markdown]
# It does: no test finds anything over time or across states, and tails are no trouble for errors that are clustered by
# state. In the end demand falls by 0.83 per cent with one per cent of price. Some of what looked like groups may be
# habit: with last year's sales in the model the criterion takes one group. This is the regression we would defend, and
# what follows is about the static one, which asks more of the groups.
#
# ## 8. Robustness
#
# *Question: what hangs on three factors, two groups, and two regressors?* First the slopes, over a grid.

# %%
rows = []
for n_groups in (1, 2, 3):
    for n_factors in (2, 3, 4, 5):
        fit = gife.GroupedIFE.from_formula(f"{DEMAND} | state", cigar, n_groups=n_groups, n_factors=n_factors).fit()
        slopes = fit.params_by_group.round(2)
        rows.append(
            {
                "groups": n_groups,
                "factors": n_factors,
                "price": "  ".join(f"{v:+.2f}" for v in slopes["log(real_price)"]),
                "income": "  ".join(f"{v:+.2f}" for v in slopes["log(real_income)"]),
                "states": "  ".join(str(n) for n in fit.group_sizes),
            }
        )
print(pd.DataFrame(rows).set_index(["groups", "factors"]).to_string())

# %% [markdown]
# Then who is where. Group 1 is the one with the stronger reaction to the price, in every specification.

# %%
cigar["real_neighbour"] = 100 * cigar["pimin"] / cigar["cpi"]  # lowest price in the adjoining states
late = cigar[cigar.index.get_level_values("year") >= 1968]
variants = {
    "3 factors": (f"{DEMAND} | state", cigar, 3),
    "4 factors": (f"{DEMAND} | state", cigar, 4),
    "5 factors": (f"{DEMAND} | state", cigar, 5),
    "with the neighbours' price": (f"{DEMAND} + log(real_neighbour) | state", cigar, 3),
    "from 1968 on": (f"{DEMAND} | state", late, 3),
}
member, price_slopes = {}, {}
for name, (formula, data, n_factors) in variants.items():
    fit = gife.GroupedIFE.from_formula(formula, data, n_groups=2, n_factors=n_factors).fit()
    member[name] = fit.groups
    price_slopes[name] = fit.params_by_group["log(real_price)"]
member = pd.DataFrame(member)
print(pd.DataFrame(price_slopes).T.round(2).to_string(), "\n")
agree = member.eq(member["3 factors"], axis=0).mean()
print("share of states in the same group as with 3 factors:", agree.iloc[1:].round(2).to_dict())

# %% tags=["hide-input"]
share = (member == 1).mean(axis=1)
always = {group: sorted(code[share == value]) for group, value in ((1, 1.0), (2, 0.0))}
fig, ax = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
often = share.map(lambda s: "#0072B2" if s >= 0.5 else "#E69F00")
draw_map(ax, often, (share > 0) & (share < 1), "Full colour: in the same group in all five specifications.")
plt.show()
print("always group 1:", " ".join(always[1]))
print("always group 2:", " ".join(always[2]))

# %% [markdown]
# - **Robust:** demand is inelastic once history is in the model, -0.2 to -0.5; there is a group with about twice the
#   reaction of the other, to price and to income.
# - **Less so:** who belongs to it. A fifth to a quarter of the states change sides with four or five factors; 27
#   never do in five specifications.
# - **Not robust:** two factors. There the group with the stronger reaction to the price has the weaker to income, and
#   the test in section 3 says that history is still in the residuals.
#
# ## 9. Could chance alone make two groups?
#
# Groups are chosen so that their slopes differ. The F test of equal slopes takes them as given, so it rejects far too
# easily. *Question: what would the same procedure find if all states had one slope?* Keep the one-slope fit, flip the
# sign of every state's residuals at random, state by state (so that their correlation over time stays), and estimate
# everything again.

# %%
EQUAL = "log(real_price)[1] = log(real_price)[2], log(real_income)[1] = log(real_income)[2]"


def two_against_one(data, outcome):
    formula = f"{outcome} ~ log(real_price) + log(real_income) | state"
    one = gife.InteractiveFE.from_formula(formula, data, n_factors=3).fit()
    two = gife.GroupedIFE.from_formula(formula, data, n_groups=2, n_factors=3).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that such a test is naive is what is shown here
        naive = two.f_test(EQUAL)
    return {
        "fall of the sum of squares": 1 - (two.resid**2).sum() / (one.resid**2).sum(),
        "gap of the price elasticities": two.params_by_group["log(real_price)"].diff().iloc[-1],
        "F statistic": float(naive.fvalue),
    }


found = two_against_one(cigar, "log(sales)")
one_slope = np.asarray(interactive.fittedvalues)
noise = np.asarray(res.resid)
DRAWS = 50
rng = np.random.default_rng(1)
placebo = pd.DataFrame(
    [
        two_against_one(cigar.assign(fake=one_slope + noise * rng.choice([-1.0, 1.0], 46)[state_codes]), "fake")
        for _ in range(DRAWS)
    ]
)
table = pd.DataFrame({"found": found, "chance: median": placebo.median(), "chance: 95 %": placebo.quantile(0.95)})
table["chance: largest"] = placebo.max()
print(table.round(3).to_string())
assert placebo["fall of the sum of squares"].max() < found["fall of the sum of squares"]

# %% [markdown]
# - The F statistic is 21 where there are no groups at all; its textbook bound is 3. **Never test for groups with the
#   groups that were chosen for it.** `res.test_groups()` asks the same in one call, with the sum of squares.
# - Against what chance does, the second group earns its place: the sum of squares falls by more than in any
#   of the fifty fake panels, and so far apart no fake price elasticities are.
#
# ## 10. What everyone would have said

# %%
own = res.unit_params
mean_group = own.mean(), own.std() / np.sqrt(46)
note("a slope for each state, mean", *mean_group)
order = [
    "pooled least squares",
    "state effects",
    "state and year effects",
    "3 factors, one slope",
    "3 factors, group 1 of 2",
    "3 factors, group 2 of 2",
    "a slope for each state, mean",
]
answers = {name: answers[name] for name in order}
print(show())

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.0), layout="constrained", sharey=True)
for ax, column, title in zip(axes, (0, 1), ("price elasticity", "income elasticity"), strict=True):
    for position, (name, values) in enumerate(answers.items()):
        color = {"3 factors, group 1 of 2": "#0072B2", "3 factors, group 2 of 2": "#E69F00"}.get(name, "0.3")
        ax.errorbar(values[column], -position, xerr=1.96 * values[column + 2], fmt="o", color=color, capsize=2.5)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel(f"{title}, 95 % interval")
axes[0].set_yticks([-k for k in range(len(order))], order)
plt.show()

# %%
print(gife.compare(state_effects, two_way, interactive, res, names=["state", "two-way", "factors", "groups"]))

# %% [markdown]
# `.to_latex()`, `.to_markdown()` and `.to_html()` give the same table for a paper.
#
# ## 11. How sure?
#
# - *Quite sure:* estimators without factors credit the price with the history of smoking. With it in the model
#   demand is inelastic, about -0.3 on average, where others say -0.7 to -1.0.
# - *Fairly sure:* states differ in their reaction. Two slopes describe them much better than one, and better than
#   chance would. A slope for each state is too much for 30 years: within the groups they differ by no more than their
#   errors, and their mean is as good as the factors, which are those of the groups.
# - *Not sure:* which of 46 states belong where. Take the margin and the specifications together: 27 states stay, the
#   others are open. Standard errors of the group slopes allow for that.
# - *In the long run*, with habits, it is -0.8; and then one slope for all states is enough for the criterion.
# - *Not answered:* whether the price is exogenous given the factors. Taxes set by states after smoking declined would
#   be a reason why not.
#
# ## Sources
#
# Data: `gife.datasets.load_cigar`, with origin and licence. B. H. Baltagi and D. Levin (1992), *Cigarette taxation:
# raising revenues and reducing consumption*, Structural Change and Economic Dynamics 3, 321–335. B. H. Baltagi, J. M.
# Griffin and W. Xiong (2000), *To pool or not to pool*, Review of Economics and Statistics 82, 117–126. J. Bai
# (2009), *Panel data models with interactive fixed effects*, Econometrica 77, 1229–1279. L. Su and G. Ju (2018),
# *Identifying latent grouped patterns in panel data models with interactive fixed effects*, Journal of Econometrics
# 206, 554–573.
