"""Comparisons with other packages that run in the tests themselves, on data drawn there: what, where, how close."""

from __future__ import annotations

LIVE = (
    (
        "statsmodels",
        "everything that its results offer, on the regression on every dummy",
        "tests/integration/test_matrix.py::test_promise",
        "1e-6",
    ),
    (
        "statsmodels",
        "coefficients, tests, intervals, information criteria, weights",
        "tests/models/test_partialled_statsmodels.py::test_coefficients_and_tests",
        "1e-8",
    ),
    (
        "linearmodels",
        "PanelOLS, all numbers of its table",
        "tests/interop/test_linearmodels.py::test_all_numbers_are_those_of_panel_ols",
        "1e-8",
    ),
    (
        "pyfixest",
        "iid, HC1, Newey–West, Driscoll–Kraay, clustered once and twice, CRV3",
        "tests/inference/test_linear_covariance.py::test_package_pyfixest",
        "1e-9",
    ),
    (
        "wildboottest",
        "every bootstrap t statistic, all patterns of signs",
        "tests/inference/test_linear_wild.py::test_package_wildboottest",
        "1e-8",
    ),
    (
        "doubleml",
        "both scores, four learners, repeats, clusters, effects",
        "tests/inference/test_orthogonal.py::test_equals_doubleml",
        "1e-10",
    ),
    (
        "marginaleffects",
        "predictions, comparisons and slopes of the full regression",
        "tests/interop/test_marginaleffects.py::test_predictions_are_those_of_the_full_regression",
        "1e-8",
    ),
    (
        "scikit-learn",
        "k-means from the same starts",
        "tests/kernels/test_kmeans.py::test_same_minimum_as_scikit_learn_from_the_same_start",
        "1e-9",
    ),
)
