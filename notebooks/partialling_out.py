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
# # Partialling out
#
# A regression coefficient is "the effect of $x_1$, holding $x_2$ fixed". What does the holding fixed consist of? The
# theorem of Frisch, Waugh and Lovell answers: take out of $x_1$ all that $x_2$ can predict, and regress on what is
# left. This notebook tries the theorem out, breaks it, repairs it, and then uses it three times: for pictures, for
# speed, and for machine learning.
#
# The theorem, for $y = X_1\beta_1 + X_2\beta_2 + e$. Let $M_2 = I - X_2(X_2'X_2)^{-1}X_2'$ turn a column into its
# residuals from a regression on $X_2$. Then the least-squares $\hat\beta_1$ is
#
# $$
# \hat\beta_1 = \bigl(X_1'M_2X_1\bigr)^{-1}X_1'M_2y ,
# $$
#
# the regression of $M_2y$ on $M_2X_1$. We call $M_2y$ "$y$ residualised".

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import statsmodels.api as sm

import gifepanel as gife

# %% [markdown]
# ## 1. One regressor, one control
#
# A thousand observations. $x_1$ depends on $x_2$; the true coefficients are 10, 5 and 7. The random numbers are
# NumPy's old ones, which never change, so everyone sees the same digits.

# %%
np.random.seed(0)
n = 1000
x2 = np.random.uniform(0, 1, n)
x1 = 3 * x2 + np.random.uniform(0, 1, n) + np.random.normal(0, 1, n)
e = np.random.normal(0, 1, n)
one = np.ones(n)
y = 10 * one + 5 * x1 + 7 * x2 + e


def least_squares(outcome, *columns):
    """Coefficients of a regression, without a constant unless it is among the columns."""
    return np.linalg.lstsq(np.column_stack(columns), outcome, rcond=None)[0]


full = least_squares(y, one, x1, x2)
print("all three columns:", full.round(8))
print("without x2:       ", least_squares(y, one, x1).round(8))
assert np.allclose(full, [9.98226817, 5.03640436, 6.80111723], rtol=0, atol=5e-9)

# %% [markdown]
# Without $x_2$ the coefficient of $x_1$ is far too large: $x_1$ takes the credit for $x_2$. The target from here on
# is **5.03640436**, the coefficient with $x_2$ in the regression.
#
# ### What is $M_2$?
#
# *Question: what does the matrix do to a column, and what does it do the second time?*

# %%
X2 = np.column_stack([one, x2])
P2 = X2 @ np.linalg.inv(X2.T @ X2) @ X2.T
M2 = np.eye(n) - P2

print("symmetric:                    ", np.allclose(M2, M2.T))
print("idempotent, M M = M:          ", np.allclose(M2 @ M2, M2))
print("nothing is left of X2:        ", np.allclose(M2 @ X2, 0))
print("what is left has no X2 in it: ", np.allclose(X2.T @ (M2 @ y), 0, atol=1e-8))
print("trace = n - 2 =", round(np.trace(M2), 8))
assert np.allclose(M2, M2.T) and np.allclose(M2 @ M2, M2) and np.allclose(M2 @ X2, 0)

# %% [markdown]
# $M_2$ is an orthogonal projection. Once is enough: what is left has nothing more to give. The trace counts the
# dimensions that are left. It is the first sign of the degrees of freedom that will matter below.
#
# ### Three regressions, one coefficient
#
# *Question: which columns must be residualised: both, $x_1$ alone, or $y$ alone?*

# %%
x1_left, y_left = M2 @ x1, M2 @ y


def row(outcome, *columns):
    fit = sm.OLS(outcome, np.column_stack([one, *columns])).fit()
    return {"coefficient": fit.params[1], "intercept": fit.params[0], "std. error": fit.bse[1], "df": fit.df_resid}


tries = pd.DataFrame(
    {
        "y on x1 and x2 (the full regression)": row(y, x1, x2),
        "residualised y on residualised x1": row(y_left, x1_left),
        "y on residualised x1": row(y, x1_left),
        "residualised y on x1": row(y_left, x1),
    }
).T
print(tries.round(8).to_string())

# %%
target = tries.iloc[0]
assert np.allclose(tries["coefficient"].iloc[:3], 5.03640436, rtol=0, atol=5e-9)
assert np.isclose(tries.loc["y on residualised x1", "intercept"], 23.29878836, rtol=0, atol=5e-9)
assert abs(tries["coefficient"].iloc[3] - target["coefficient"]) > 1

# %% [markdown]
# Three rows have the same 5.03640436; the last one has not.
#
# - **Residualising $x_1$ is what counts.** $M_2$ is symmetric and idempotent, so $(M_2x_1)'M_2y = (M_2x_1)'y$:
#   the residualised $x_1$ cannot see the part of $y$ that $X_2$ spans.
# - **The third intercept, 23.29878836, is the mean of $y$.** A residualised column has mean zero, so the constant has
#   the mean of $y$ to itself.
# - **The third standard error is wrong.** Its residuals still hold what $x_2$ explains of $y$: noise, as far as that
#   regression knows.
# - **The second is nearly right.** The residuals are those of the full regression, but the program divides by
#   998 where the full regression divides by 997. It does not know of the parameter that went before.
# - **Residualising $y$ alone fails.** $x_1$ still holds its $x_2$ part, and $y$ has nothing left to match it with.

# %%
print("y.mean():                           ", y.mean().round(8))
repaired = tries.iloc[1]["std. error"] * np.sqrt(tries.iloc[1]["df"] / target["df"])
print("second std. error x sqrt(998 / 997):", repaired.round(8), " full:", target["std. error"].round(8))
assert np.isclose(y.mean(), 23.29878836, rtol=0, atol=5e-9) and np.isclose(repaired, target["std. error"], rtol=1e-10)

# %% [markdown]
# ### The theorem in three pictures
#
# *Question: how does "holding $x_2$ fixed" look?* The same regression by `PartialledOLS`: what `partial=` names is
# taken out. `res.plot.fwl` draws the three scatters.

# %%
data = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
res = gife.PartialledOLS.from_formula("y ~ x1", data, partial="x2").fit()
assert np.isclose(res.params["x1"], 5.03640436, rtol=0, atol=5e-9)
assert np.isclose(res.bse["x1"], target["std. error"], rtol=1e-10)
axes = res.plot.fwl("x1")

# %% [markdown]
# - Left, the data as they are: steep, since $x_2$ moves both.
# - Middle, both residualised: the slope is the coefficient, and what scatters around the line is the residual of the
#   full regression. This is the added-variable plot.
# - Right, only $y$ residualised: a flattened cloud. The horizontal spread is still that of the raw $x_1$, and the
#   slope means nothing.
#
# ### Collinearity: what the residualised regressor keeps
#
# *Question: why do standard errors explode when $x_1$ and $x_2$ move together?* The standard error is
# $\hat\sigma / \lVert M_2 x_1\rVert$: only what is left of $x_1$ counts. Let $x_1 = 3x_2 + c\,u$ and turn $c$ down.

# %%
rng = np.random.default_rng(1)
u, noise = rng.normal(size=n), rng.normal(size=n)
rows = []
for c in (1, 0.3, 0.1, 0.03, 0.01):
    close = 3 * x2 + c * u
    kept = (M2 @ close).var() / close.var()
    fit = sm.OLS(10 + 5 * close + 7 * x2 + noise, np.column_stack([one, close, x2])).fit()
    by_hand = np.sqrt(fit.scale) / np.linalg.norm(M2 @ close)
    assert np.isclose(by_hand, fit.bse[1], rtol=1e-8)
    rows.append({"c": c, "variance kept": kept, "VIF": 1 / kept, "estimate": fit.params[1], "std. error": fit.bse[1]})
print(pd.DataFrame(rows).set_index("c").round(4).to_string())

# %% [markdown]
# The share of variance that $x_1$ keeps is one over the variance inflation factor. Nothing is biased and nothing is
# broken: there is just less and less left to learn from. The coefficient is still estimated from exactly that rest.
#
# ## 2. Can it be done one column at a time?
#
# Now two controls and a constant, and an open question: *instead of regressing on all nuisance columns at once, can
# we partial them out one after the other?* Each step is trivial: subtract the column times one number.

# %%
np.random.seed(0)
x2 = np.random.uniform(0, 1, n)
x3 = np.random.uniform(0, 1, n)
x1 = x2 + x3 + np.random.normal(0, 1, n)
e = np.random.normal(0, 1, n)
y = 10 * one + 5 * x1 + 7 * x2 + 3 * x3 + e

full = least_squares(y, one, x1, x2, x3)
print("all at once:", full.round(8))
assert np.allclose(full, [9.95538609, 5.03200117, 6.87766976, 3.05740035], rtol=0, atol=5e-9)


def sweep(v, columns):
    """Take the columns out of v, one after the other, once."""
    for z in columns:
        v = v - z * (z @ v) / (z @ z)
    return v


def slope(x_left):
    return x_left @ y / (x_left @ x_left)


forth, back = [one, x2, x3], [x3, x2, one]
print("1, then x2, then x3:", slope(sweep(x1, forth)).round(8))
print("x3, then x2, then 1:", slope(sweep(x1, back)).round(8))
assert np.isclose(slope(sweep(x1, forth)), 2.92542108, rtol=0, atol=5e-9)
assert np.isclose(slope(sweep(x1, back)), 4.61310126, rtol=0, atol=5e-9)

# %% [markdown]
# No: 2.92542108 or 4.61310126, depending on the order, and neither is 5.03200117. The columns are not
# orthogonal. Taking out $x_3$ puts some of $x_2$ and of the constant back in.
#
# *Question: and if we start over, again and again?*

# %%
left = x1.copy()
for number in range(1, 91):
    left = sweep(left, forth)
    if number in (1, 2, 5, 10, 20, 40, 60, 90):
        print(f"{number:3d} sweeps: {slope(left):.8f}")
assert np.isclose(slope(left), 5.03200117, rtol=0, atol=5e-9)

# %% [markdown]
# **Yes.** Cycling works: every round leaves less of the nuisance columns, and the limit is the right residual. The
# scheme is older than the question. Its name is *alternating projections*: von Neumann proved it for two
# subspaces (lectures of the 1930s, printed 1950), Halperin (1962) for any number. As a way to fit additive models it
# is called *backfitting* (Friedman and Stuetzle 1981; Buja, Hastie and Tibshirani 1989). In numerical algebra it is
# Gauss–Seidel on the normal equations.
#
# ### How fast? Ask the angles
#
# *Question: what decides the number of sweeps?* First the angles between the nuisance columns.


# %%
def degrees(a, b):
    return np.degrees(np.arccos(a @ b / np.sqrt((a @ a) * (b @ b))))


print(f"1 and x2: {degrees(one, x2):.1f} degrees, 1 and x3: {degrees(one, x3):.1f}, x2 and x3: {degrees(x2, x3):.1f}")

# %% [markdown]
# Numbers between 0 and 1 are all positive: as vectors they point the same way as the constant, about 30 degrees off.
#
# Take two pieces first: the plane of $(1, x_2)$, projected out at once, and $x_3$. With two pieces theory is sharp:
# after the first round each sweep shrinks the error by exactly $\cos^2\theta$, with $\theta$ the angle between the
# pieces (Aronszajn 1950; Kayalar and Weinert 1988).

# %%
plane = np.linalg.qr(np.column_stack([one, x2]))[0]
exact = x1 - np.column_stack([one, x2, x3]) @ least_squares(x1, one, x2, x3)

left, errors = x1.copy(), []
for _ in range(20):
    left = left - plane @ (plane.T @ left)
    left = left - x3 * (x3 @ left) / (x3 @ x3)
    errors.append(np.linalg.norm(left - exact))
measured = np.array(errors[1:]) / np.array(errors[:-1])

cos2 = np.sum((plane.T @ x3) ** 2) / (x3 @ x3)
print(f"angle {np.degrees(np.arccos(np.sqrt(cos2))):.2f} degrees: predicted rate {cos2:.8f}")
print("measured rates:", measured[:4].round(8), "...", measured[-1].round(8))
assert np.allclose(measured, cos2, rtol=1e-7)

# %% [markdown]
# Predicted rate and measured rate agree to the digits printed.
#
# With three pieces the error moves in the three-dimensional space of the nuisance columns, and one sweep is a 3 × 3
# matrix there. Its entries are made of the angles alone. The largest absolute eigenvalue is the rate in the long
# run, and the powers of the matrix predict every single error.


# %%
def predicted_errors(columns, sweeps):
    """Errors after 1..sweeps rounds, and the rate, from the sweep's matrix in the space of the columns."""
    basis = np.linalg.qr(np.column_stack(columns))[0]
    step = np.eye(len(columns))
    for z in columns:
        q = basis.T @ z / np.sqrt(z @ z)
        step = (np.eye(len(columns)) - np.outer(q, q)) @ step
    start, out = basis.T @ x1, []
    for _ in range(sweeps):
        start = step @ start
        out.append(np.linalg.norm(start))
    return np.array(out), np.abs(np.linalg.eigvals(step)).max()


def measured_errors(columns, sweeps):
    left, out = x1.copy(), []
    for _ in range(sweeps):
        left = sweep(left, columns)
        out.append(np.linalg.norm(left - exact))
    return np.array(out)


centred = [one, x2 - x2.mean(), x3 - x3.mean()]
cases = {"1, x2, x3": forth, "x3, x2, 1": back, "1, x2 and x3 centred": centred}
runs = {name: (predicted_errors(columns, 30), measured_errors(columns, 30)) for name, columns in cases.items()}
for name, ((predicted, rate), measured) in runs.items():
    assert np.allclose(predicted, measured, rtol=1e-6, atol=1e-10)
    print(f"{name:22s} rate {rate:.4g}, error after 5 sweeps: predicted {predicted[4]:.3e}, measured {measured[4]:.3e}")

# Gauss-Seidel on the normal equations, Z'Z b = Z'x1: the same rate
gram = np.column_stack(forth).T @ np.column_stack(forth)
lower = np.tril(gram)
gauss_seidel = np.abs(np.linalg.eigvals(np.linalg.solve(lower, lower - gram))).max()
assert np.isclose(gauss_seidel, runs["1, x2, x3"][0][1], rtol=1e-8)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
looks = (("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#009E73", "^", ":"))
for (name, ((predicted, rate), measured)), (color, marker, line) in zip(runs.items(), looks, strict=True):
    sweeps = np.arange(1, 31)[measured > 1e-11]
    ax.plot(sweeps, predicted[: len(sweeps)], line, color=color)
    label = f"{name}: {rate:.4g}"
    ax.plot(sweeps, measured[: len(sweeps)], marker, color=color, markersize=4, label=label)
ax.set(yscale="log", xlabel="sweeps", ylabel="distance from the exact residual")
ax.set_title("Lines: predicted from the angles. Points: measured.", loc="left", fontsize="medium")
ax.legend(title="order and rate in the long run", frameon=False, fontsize="small")
plt.show()

# %% [markdown]
# The points sit on the lines. Both orders have the same rate in the long run, 0.7456; they differ in the first step.
#
# The green points are the lesson for practice. Take the mean out of $x_2$ and $x_3$ first, so that two of the three
# angles are 90 degrees and the third nearly so, and three sweeps reach the limits of the computer. **Which pieces you
# solve exactly decides the speed.** That is what the package does with fixed effects: the largest one exactly, and
# for the rest something better than cycling.
#
# ### Where the angles are sharp: workers and firms
#
# *Question: is cycling good enough for fixed effects?* Demeaning by worker, then by firm, then by worker is the same
# scheme with two pieces: the dummies of the workers and the dummies of the firms. They share the constant. The next
# angle between them depends on how many workers ever change the firm.


# %%
def worker_firm(mobility, seed, n_workers=400, n_firms=40, n_years=6):
    """Workers that stay with a firm, except that each year a share of them moves."""
    rng = np.random.default_rng(seed)
    firm = np.tile(rng.integers(0, n_firms, n_workers)[:, None], n_years)
    for t in range(1, n_years):
        moves = rng.random(n_workers) < mobility
        firm[:, t] = np.where(moves, rng.integers(0, n_firms, n_workers), firm[:, t - 1])
    worker = np.repeat(np.arange(n_workers), n_years)
    frame = pd.DataFrame({"worker": worker, "firm": firm.ravel(), "year": np.tile(np.arange(n_years), n_workers)})
    return frame.assign(x=rng.normal(size=len(frame)) + 0.3 * frame["firm"] / n_firms)


def unit(codes):
    """Dummies with columns of length one: a basis of what the effect spans."""
    dummies = np.eye(codes.max() + 1)[codes]
    lengths = np.sqrt(dummies.sum(axis=0))
    return dummies[:, lengths > 0] / lengths[lengths > 0]


def cycle(frame, sweeps):
    """Demean x by worker and by firm in turn; how much it still moves after each round."""
    left, moved = frame["x"].to_numpy(), []
    groups = [unit(frame["worker"].to_numpy()), unit(frame["firm"].to_numpy())]
    for _ in range(sweeps):
        before = left
        for basis in groups:
            left = left - basis @ (basis.T @ left)
        moved.append(np.linalg.norm(left - before))
    return np.array(moved)


rows = []
for mobility, sweeps in ((0.2, 80), (0.1, 150), (0.04, 600)):
    frame = worker_firm(mobility, seed=5)
    cosines = np.linalg.svd(unit(frame["worker"].to_numpy()).T @ unit(frame["firm"].to_numpy()), compute_uv=False)
    assert np.sum(cosines > 1 - 1e-9) == 1  # the constant, which both pieces hold
    moved = cycle(frame, sweeps)
    rows.append(
        {
            "moves a year": f"{mobility:.0%}",
            "angle, degrees": np.degrees(np.arccos(cosines[1])),
            "predicted rate": cosines[1] ** 2,
            "measured rate": (moved[-1] / moved[-11]) ** 0.1,
            "sweeps for ten digits": np.ceil(np.log(1e-10) / np.log(cosines[1] ** 2)),
        }
    )
angles = pd.DataFrame(rows).set_index("moves a year")
print(angles.round(4).to_string())
assert np.allclose(angles["predicted rate"], angles["measured rate"], rtol=5e-3)

# %% [markdown]
# The fewer moves, the smaller the angle: with four per cent it is five degrees, and ten digits take more than three
# thousand sweeps. Data of realistic size are worse. `PartialledOLS` does not cycle: it eliminates the largest effect
# exactly and solves for the rest, and reports what it did.

# %%
frame = worker_firm(0.04, seed=5)
frame["wage"] = 0.5 * frame["x"] + 0.05 * frame["firm"] + np.random.default_rng(4).normal(size=len(frame))
wages = gife.PartialledOLS.from_formula("wage ~ x | worker + firm + year", frame).fit()
print(wages.absorption.method, "- residual", f"{wages.absorption.residual:.1e}", "-", wages.degrees)

# %% [markdown]
# ## 3. Use one: pictures
#
# A regression with many regressors cannot be drawn, but every coefficient can. Cigarette sales in 46 states over 30
# years, on price and income, with effects of states and years:

# %%
cigar = gife.datasets.load_cigar()
demand = gife.PartialledOLS.from_formula("log(sales) ~ log(real_price) + log(real_income) | state + year", cigar).fit(
    cov_type="cluster", cov_kwds={"groups": "state"}
)
ax = demand.plot.added_variable("log(real_price)")

# %% [markdown]
# Each point is a state in a year, with state, year and income taken out. The slope is the price elasticity, the band
# has the standard error of the full regression, clustered by state. The named points pull most at it: the District of
# Columbia, whose sales in the 1960s went to the suburbs, makes up all three of them.
#
# `res.fwl()` shows the experiment of the first section for any fit.

# %%
demand.fwl()

# %% [markdown]
# ## 4. Use two: speed
#
# *Question: what does it save to partial the effects out, compared with a column for each?*


# %%
def firms_and_years(n_firms, n_years, seed=0):
    rng = np.random.default_rng(seed)
    firm, year = np.repeat(np.arange(n_firms), n_years), np.tile(np.arange(n_years), n_firms)
    effect = rng.normal(size=n_firms)[firm] + rng.normal(size=n_years)[year]
    x = effect + rng.normal(size=firm.size)
    panel = pd.DataFrame({"firm": firm, "year": year, "x": x, "y": 0.5 * x + effect + rng.normal(size=firm.size)})
    return panel[rng.random(firm.size) < 0.8].reset_index(drop=True)


def timed(function, panel):
    function(panel)
    start = time.perf_counter()
    result = function(panel)
    return result, time.perf_counter() - start


def partialled(panel):
    return gife.PartialledOLS.from_formula("y ~ x | firm + year", panel).fit()


def with_dummies(panel):
    dummies = pd.get_dummies(panel[["firm", "year"]].astype("category"), drop_first=True, dtype=float)
    return sm.OLS(panel["y"], sm.add_constant(dummies.assign(x=panel["x"]))).fit()


for n_firms in (50, 200):
    panel = firms_and_years(n_firms, 20)
    (ours, fast), (theirs, slow) = timed(partialled, panel), timed(with_dummies, panel)
    assert np.isclose(ours.params["x"], theirs.params["x"], rtol=1e-9)
    assert np.isclose(ours.bse["x"], theirs.bse["x"], rtol=1e-9)
    print(f"{len(panel):7,} rows, {n_firms:6,} firms: {1000 * fast:5.0f} ms, with dummies {1000 * slow:6.0f} ms")
panel = firms_and_years(10_000, 20)
big, fast = timed(partialled, panel)
print(f"{len(panel):7,} rows, 10,000 firms: {1000 * fast:5.0f} ms; dummies: {8e-9 * 1e4 * len(panel):.0f} GB")

# %% [markdown]
# The same coefficients and standard errors. The matrix of dummies grows with rows times firms, the work with the
# square of the firms; what is partialled out grows with the rows.
#
# ## 5. Use three: machine learning
#
# The theorem wants the *linear* prediction of $y$ and $x_1$ taken out. What if the controls act in ways that no
# formula catches? Let
#
# $$
# y = \theta d + g(z) + e, \qquad d = m(z) + v ,
# $$
#
# with unknown $g$ and $m$. *Question: can a machine's prediction take the place of the linear one, and where?* The
# truth below is $\theta = 0.5$. The learner is a small random forest: flexible, and like every learner a little wrong
# everywhere. Five estimates:

# %%
from sklearn.ensemble import RandomForestRegressor

CONTROLS = ["z1", "z2", "z3"]


def draw(seed, n=500, theta=0.5):
    rng = np.random.default_rng([2018, seed])
    z = rng.uniform(-2, 2, size=(n, 3))
    m = np.sin(2 * z[:, 0]) + 0.5 * z[:, 1] ** 2
    g = np.sin(2 * z[:, 0]) + 0.5 * z[:, 1] ** 2 + 0.5 * z[:, 2]
    d = m + rng.normal(size=n)
    return pd.DataFrame(z, columns=CONTROLS).assign(d=d, y=theta * d + g + rng.normal(size=n))


def simple_slope(x, y):
    return (x - x.mean()) @ y / ((x - x.mean()) @ (x - x.mean()))


def estimates(frame):
    forest = RandomForestRegressor(10, min_samples_leaf=2, random_state=0)
    controls = " + ".join(CONTROLS)
    linear = gife.PartialledOLS.from_formula("y ~ d", frame, partial=controls).fit()
    crossed = gife.PartialledOLS.from_formula("y ~ d", frame, partial=controls, learner=forest).fit(n_folds=5)
    z, d, y = frame[CONTROLS].to_numpy(), frame["d"].to_numpy(), frame["y"].to_numpy()
    y_left, d_left = y - forest.fit(z, y).predict(z), d - forest.fit(z, d).predict(z)
    return {
        "no controls": simple_slope(d, y),
        "linear controls": linear.params["d"],
        "naive plug-in: only y residualised": simple_slope(d, crossed.fwl().columns["y"].to_numpy()),
        "both residualised, same sample": simple_slope(d_left, y_left),
        "both residualised, cross-fitted": crossed.params["d"],
        "standard error": crossed.bse["d"],
    }


DRAWS = 40
draws = pd.DataFrame([estimates(draw(seed)) for seed in range(DRAWS)])
error = draws.pop("standard error")
summary = pd.DataFrame({"mean": draws.mean(), "bias": draws.mean() - 0.5, "std. deviation": draws.std()})
print(summary.round(3).to_string())
covered = (draws["both residualised, cross-fitted"] - 0.5).abs() < 1.96 * error
print(f"\ncross-fitted: mean standard error {error.mean():.3f}; {covered.sum()} of 40 intervals (95 %) hold the truth")
assert abs(summary["bias"].iloc[4]) < 0.03 < 0.04 < summary["bias"].abs().iloc[:4].min()

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.8, 2.8), layout="constrained")
for position, name in enumerate(draws):
    shake = np.random.default_rng(position).uniform(-0.18, 0.18, len(draws))
    ax.plot(draws[name], -position + shake, "o", color="#0072B2", alpha=0.45, markersize=4, markeredgewidth=0)
    ax.plot([draws[name].mean()] * 2, [-position - 0.32, -position + 0.32], color="#D55E00", linewidth=2)
ax.axvline(0.5, color="0.2", linewidth=1, zorder=0)
ax.set_yticks([-k for k in range(draws.shape[1])], draws.columns)
ax.set_xlabel("estimate")
ax.set_title("Points: draws. Bars: their means. Line: the truth.", loc="left", fontsize="medium")
plt.show()

# %% [markdown]
# - **No controls, linear controls.** Far too large: no line catches a sine or a parabola.
# - **Naive plug-in.** Take the forest's prediction out of $y$ alone: this is the right-hand picture of section 1, the
#   flattened cloud. A better forest does not help.
# - **Both residualised, same sample.** The theorem's form, but the forest has seen the very errors it is to leave
#   alone, and has learned some of them by heart. What it learned is missing from the residuals.
# - **Both residualised, cross-fitted.** Each fold is predicted by a forest that has not seen it. What is left of the
#   bias is a product of two errors, that of $\hat g$ and that of $\hat m$, so both may be imperfect. This is double
#   or debiased machine learning (Robinson 1988 with kernels; Chernozhukov et al. 2018).
#
# The printed result says how good the nuisance predictions are, out of fold:

# %%
forest = RandomForestRegressor(10, min_samples_leaf=2, random_state=0)
learned = gife.PartialledOLS.from_formula("y ~ d", draw(0), partial=" + ".join(CONTROLS), learner=forest).fit()
print(learned.summary())

# %% [markdown]
# ## Where it comes from
#
# - G. Udny Yule (1907) has the theorem in words and symbols: partial regressions are simple regressions of residuals
#   (*On the theory of correlation for any number of variables, treated by a new system of notation*, Proceedings of
#   the Royal Society A 79, 182–193, section 9).
# - Ragnar Frisch and Frederick Waugh (1933) settle a quarrel with it: whether to detrend the data first or to put a
#   trend into the regression. It is the same (*Partial time regressions as compared with individual trends*,
#   Econometrica 1, 387–401).
# - Michael Lovell (1963) takes it from a trend to any set of columns, seasonal dummies first of all (*Seasonal
#   adjustment of economic time series and multiple regression analysis*, Journal of the American Statistical
#   Association 58, 993–1010).
#
# Cycling: J. von Neumann (1950), *Functional Operators* II, Princeton; N. Aronszajn (1950), *Theory of reproducing
# kernels*, Transactions of the AMS 68, 337–404; I. Halperin (1962), *The product of projection operators*, Acta
# Scientiarum Mathematicarum 23, 96–99; S. Kayalar and H. Weinert (1988), *Error bounds for the method of alternating
# projections*, Mathematics of Control, Signals, and Systems 1, 43–59. Backfitting: J. Friedman and W. Stuetzle
# (1981), *Projection pursuit regression*, JASA 76, 817–823; A. Buja, T. Hastie and R. Tibshirani (1989), *Linear
# smoothers and additive models*, Annals of Statistics 17, 453–510. Machine learning: P. Robinson (1988),
# *Root-N-consistent semiparametric regression*, Econometrica 56, 931–954; V. Chernozhukov et al. (2018),
# *Double/debiased machine learning for treatment and structural parameters*, Econometrics Journal 21, C1–C68.
