"""Correct digits on NIST's regressions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import statsmodels
import statsmodels.formula.api as smf

import gifepanel as gife
from tests.reference.nist import NIST, correct_digits
from tests.validation.record import Number, Section


def certified() -> Iterator[Number]:
    """Digits of statsmodels' ``OLS`` beside ours; no fewer are met."""
    for name, case in NIST.items():
        data = case.data()
        ours = gife.PartialledOLS.from_formula(case.formula, data).fit()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = smf.ols(case.formula, data).fit()
        for what, want in (("params", case.params), ("bse", case.bse)):
            reached, other = (
                float(np.floor(min(correct_digits(getattr(res, what), want), 14.0))) for res in (ours, theirs)
            )
            label = f"{name}, {'coefficients' if what == 'params' else 'standard errors'}"
            yield Number(label, other, reached, 0, 15.0 if reached >= other - 1 else 0.0)


SECTIONS = [
    Section(
        "Digits on NIST's regressions",
        f"""\
Statistical Reference Datasets of NIST (linear least squares, [public
domain](https://www.itl.nist.gov/div898/strd/lls/lls.shtml)): certified coefficients and standard deviations, computed
there with 500 digits. The table counts the correct digits of the worst coefficient, whole ones and at most 14. The
reference is statsmodels {statsmodels.__version__} (`OLS`, pseudo-inverse). Filip is a polynomial of degree 10 whose
powers have lost digits before a regression sees them. Standard errors that are certified as zero count by their size.
`tests/models/test_digits.py` holds polynomials of years, regressors that nearly agree, and every covariance
against rational arithmetic.""",
        certified,
    ),
]
