"""Words of other packages, and what they are here.

statsmodels, linearmodels, fixest and pyfixest, Stata, plm, fect and gsynth; formulas and options. The rules that make
a line of ours of them are in the files beside.
"""

from __future__ import annotations

COVARIANCES = {
    "nonrobust": "unadjusted homoskedastic homoscedastic homoskedasticity standard classical conventional const iid "
    "nonrobust ols normal spherical",
    "HC0": "hc0",
    "HC1": "robust hetero heteroskedastic heteroscedastic heteroskedasticity white huberwhite eickerhuberwhite hc hc1 "
    "whiterobust vcehc1 sandwich",
    "HC2": "hc2",
    "HC3": "hc3 hc4 jackknifehc3",
    "cluster": "cluster clustered crv1 cr1 cr1s clusterrobust onewaycluster oneway arellano",
    "CR0": "cr0 crv0",
    "CR2": "crv2 cr2 bellmccaffrey",
    "CR3": "crv3 cr3 jackknife jack",
    "twoway": "twoway twowaycluster doublecluster",
    "threeway": "threeway",
    "fourway": "fourway",
    "hac-panel": "nw neweywest nwpanel hacpanel",
    "driscoll-kraay": "dk driscollkraay kernel scc spatialcorrelation hacgroupsum nwgroupsum xtscc",
}
"""Covariances here, and the words for them elsewhere: small letters, without spaces, points, underscores, hyphens."""

NEAREST = {
    "conley": (
        "driscoll-kraay",
        "There are no errors by distance here; these allow for any correlation between entities",
    ),
    "pcse": (
        "driscoll-kraay",
        "There are none of Beck and Katz here; these allow for any correlation between entities",
    ),
    "bootstrap": ("cluster", "Draws belong to a test here: res.wild_bootstrap()"),
    "boot": ("cluster", "Draws belong to a test here: res.wild_bootstrap()"),
    "wild": ("cluster", "Draws belong to a test here: res.wild_bootstrap()"),
}
"""Covariances that have no counterpart, what is near, and what to say of it."""

WITH_FACTORS = {"CR0": "cluster", "CR2": "cluster", "CR3": "cluster", "HC2": "HC1", "HC3": "HC1"}
WITH_LEARNER = {
    **dict.fromkeys(("CR2", "CR3", "hac-panel", "driscoll-kraay"), "cluster"),
    **dict.fromkeys(("HC2", "HC3"), "HC1"),
    "nonrobust": "HC0",
}
"""Covariances that models with factors or learners do not have, and the nearest that they have."""

KEYWORDS = {
    **dict.fromkeys(("groups", "cluster", "clusters", "cluster_var", "clustvar", "cluster_col"), "groups"),
    **dict.fromkeys(("lag", "lags", "nlags", "maxlags", "nw_lags", "bandwidth", "maxlag", "nw_lag"), "maxlags"),
    **dict.fromkeys(("time", "time_id"), "time"),
    **dict.fromkeys(("panel_id",), "entity"),
    "kernel": "kernel",
    "use_correction": "use_correction",
    "df_correction": "df_correction",
    "scale": "scale",
}
"""Options, and the key of `cov_kwds` that each is."""

COVARIANCE_OPTIONS = (
    "vcov",
    "vce",
    "cov",
    "se_type",
    "vcov_type",
    "covariance",
    "std_errors",
    "se",
    "robust",
    "hetero",
)
WAYS = ("cluster_entity", "cluster_time")
SMALL_SAMPLE = ("debiased", "group_debias", "auto_df", "count_effects", "small", "df_adjust")
KEYWORD_DICTS = ("vcov_kwargs", "cov_kwargs", "cov_config", "cov_options", "vcov_args", "cov_keywords")
NEEDLESS = {
    "drop_absorbed": "What effects absorb is dropped here, with a warning",
    "check_rank": "Collinear regressors are dropped here, with a warning",
    "low_memory": "Effects are never made dummies here",
    "use_lsdv": "Effects are never made dummies here",
    "use_lsmr": "Effects are never made dummies here",
    "use_cache": "Nothing is kept between fits here",
    "copy_data": "Data are never changed here",
    "store_data": "res.remove_data() drops the data",
    "lean": "res.remove_data() drops the data",
    "demeaner_backend": "There is one solver here; accelerator= names another",
    "solver": "Least squares is solved by QR here",
    **dict.fromkeys(("alpha", "level", "conf_level"), "Levels belong to what is printed: res.summary(alpha=0.1)"),
    "verbose": "progress= shows a bar",
    "hasconst": "Whether there is a constant is found out here",
    "parallel": "n_jobs= is the number of workers here",
}
"""Options whose request is always met here, or has no meaning."""

EFFECT_OPTIONS = ("absorb", "fixef", "fe", "fixed_effects", "effects", "effect", "entity_effects", "time_effects",
                   "other_effects", "force", "absorbed", "twfe")  # fmt: skip
EFFECT_WORDS = {
    "individual": "e",
    "entity": "e",
    "unit": "e",
    "time": "t",
    "twoway": "et",
    "twoways": "et",
    "none": "",
    "within": "e",
    "pooling": "",
}
ESTIMATORS = {
    "within": "Effects are absorbed by name",
    "fe": "Effects are absorbed by name",
    "pooling": "",
    "random": "There are no random effects here; these are fixed",
    "re": "There are no random effects here; these are fixed",
    "fd": "Differences are D(y) ~ D(x); these are fixed effects",
}
"""plm's ``model=``, and what to say of it."""

WEIGHTS = {
    **dict.fromkeys(("aweights", "weight", "wt", "wts", "analytic_weights"), "aweights"),
    **dict.fromkeys(("fweights", "freq_weights", "frequency_weights"), "fweights"),
    **dict.fromkeys(("pweights", "sampling_weights"), "pweights"),
}
CONTROLS = ("controls", "covariates", "controls_formula")
RENAMED = {
    **dict.fromkeys(("seed", "random_seed", "rng"), "random_state"),
    **dict.fromkeys(("maxiter", "max_iterations", "niter", "n_iter"), "max_iter"),
    **dict.fromkeys(("n_init", "starts", "nstart", "nstarts"), "n_starts"),
}
"""Options that exist under another name."""

WORKERS = ("n_threads", "nthreads", "cores", "n_workers", "threads")
TOLERANCES = ("fixef_tol", "demean_tol", "tolerance", "convergence_tol")
FACTORS = ("r", "rank", "factors", "num_factors", "n_interactive")
GROUPS = ("n_clusters", "num_groups", "n_types", "K", "G")
BOOTSTRAPS = ("nboots", "n_boot", "reps", "bootstrap", "B", "vartype")
SINGLETONS = ("fixef_rm", "drop_singletons", "keepsingletons", "remove_singletons")
OWN_FIT = ("cov_type", "cov_kwds", "use_t", "ssc")

TREATMENTS = ("D", "treat", "treatment", "treat_var", "treatment_var")
ADOPTIONS = ("gname", "first_treat", "cohort_var")
"""Treated rows, and the period from which they are: fect's and did's."""

MODEL_WORDS = (
    *TREATMENTS, *ADOPTIONS,
    *EFFECT_OPTIONS, *FACTORS, *GROUPS, *SINGLETONS, "n_factors", "n_groups", "index", "panel_id", "panel.id", "subset",
    "weights_type", "CV",
    "split", "fsplit", "id", "unit", "i", "t", "offset", "model", *WEIGHTS, *CONTROLS,
)  # fmt: skip
FIT_WORDS = (
    *COVARIANCE_OPTIONS, *KEYWORDS, *WAYS, *SMALL_SAMPLE, *KEYWORD_DICTS, *NEEDLESS, *WORKERS, *TOLERANCES, *BOOTSTRAPS,
    *(word for word in RENAMED if word != "maxiter"),  # a slip of the pen, told as such
    "fixef_maxiter",
)  # fmt: skip

# ---- formulas

FUNCTIONS = {
    "l": "L",
    "f": "F",
    "d": "D",
    "i": "C",
    "factor": "C",
    "as.factor": "C",
    "as_factor": "C",
    "shift": "L",
}
"""Functions of formulas, and their names here."""

COMMANDS = ("reg", "regress", "areg", "reghdfe", "xtreg", "xtscc", "newey", "feols", "lm", "plm")
"""What a formula without a ~ may begin with."""

EXAMPLES = {
    "L": "L(x, 1) is a lag",
    "F": "F(x, 1) is a lead",
    "D": "D(x) is a difference",
    "C": "C(year) makes a category",
}
"""Our functions among these, for a name that stands alone."""

STEPWISE = ("sw", "sw0", "csw", "csw0", "mvsw")
"""Functions that stand for several formulas."""

OPERATORS = {"L": "L", "F": "F", "D": "D", "S": "D", "l": "L", "f": "F", "d": "D"}
"""Stata's prefixes of a variable: L2.x, D.x."""

EFFECTS = {"EntityEffects": "entity", "FixedEffects": "entity", "TimeEffects": "time"}
"""Words of linearmodels among the regressors."""
