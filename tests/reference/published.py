"""Numbers that other software or papers print, each with its source; digits as printed there.

Where a table of numbers stands for several programs, it is an independent solution polished by Newton that agrees with
every one of them to the digits it prints.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
# data without a licence to copy them: tests that need one are skipped where the folder is absent
BESIDE = Path(os.environ.get("GIFEPANEL_REFERENCE", ROOT.parent / "shared" / "reference")) / "data"

# ---- interactive fixed effects, Cigar ---------------------------------------------------------------------------

# R package PanelIFE 0.0 (ls_factor at tolerance 1e-10, M1 = M2 = 2, no degrees-of-freedom factor): D log sales on
# D log(price/cpi) and D log(ndi/cpi), no intercept. By number of factors.
# Its bcorr terms are estimates of the bias, to be subtracted; ours are what is added, hence the sign.
PANELIFE_BETA = {2: (-0.4378155033, 0.1777987881), 5: (-0.3140093369, 0.1593977364)}
PANELIFE_VAR = {
    (2, "nonrobust"): (4.340731748e-4, 9.718494623e-4),
    (2, "HC0"): (6.285573147e-4, 9.568193661e-4),
    (2, "HAC"): (7.609392138e-4, 1.2544719074e-3),
    (5, "HC0"): (5.533600198e-4, 8.504450934e-4),
}
PANELIFE_BCORR = {
    2: (
        (-0.0016234611455, 0.0006831938447),
        (0.002228577227, -0.001817543967),
        (0.005477355219, -0.001848071214),
    ),
    5: (
        (0.0003102164542, 0.0007489837569),
        (-0.0003498265344, 0.0006524472018),
        (-0.002565058559, -0.006656675498),
    ),
}
# R package phtt (Bada & Liebl 2014) at its default tolerance, R = 5
PHTT_BETA = (-0.3140143, 0.159392)

# Sales on Price, R = 2: held against InteractiveFixedEffectModels.jl (issue 13 and README of 2019), Stata regife and a
# MATLAB implementation of Bai (2009) run in Octave. By (entity effects, time effects).
SALES_ON_PRICE = {
    (True, False): {
        "none": 0.013059609797005534,
        "effects": 0.013287848549014991,
        "parameters": 0.014117077386204173,
        "df": {"effects": 1333, "parameters": 1181, "rank": 1187},
        "HC0": 0.025819399597534314,
        "unit": 0.03877846284701055,
        "time": 0.037831235847057956,
        "bias": (0.01931959181080798, 1.0031742014573885e-05),
        "beta_bc": -0.44471901059513647,
    },
    (True, True): {
        "none": 0.03821125602775335,
        "effects": 0.03932408704886644,
        "parameters": 0.04184014633896479,
        "df": {"effects": 1303, "parameters": 1151, "rank": 1160},
        "HC0": 0.04708176517956182,
        "unit": 0.08454670958338503,
        "time": 0.08067845263641547,
        "bias": (0.004635603457587074, 9.29278037687923e-05),
        "beta_bc": -0.5288859457894728,
    },
}
# xtife 0.1.5 (Python): its covariance projects x on M_F alone, not on M_Lambda too, and is too small; two-way effects
XTIFE_TWOWAY = {"HC0": 0.045097101015, "unit": 0.08022810248, "beta_bc": -0.52847398133}

# Sales on Price, R = 2. The first: InteractiveEffects, statspai and Bai's code; the second: phtt and fect
# (force = "none"); the third: Julia's and Stata's regife.
CONVENTIONS = {
    "no intercept": (0.07790896102289697,),
    "grand mean removed first": (-0.34882078246158305,),
    "intercept as a regressor": (163.01350491220396, -0.4061036401006838),
    "unit effects": (-0.4253893870423139,),
}

# ---- C-Lasso ----------------------------------------------------------------------------------------------------

# R package classo on its sample data: slopes after classification, and units that are not in their true group
CLASSO_SLOPES = ((0.4017041, 1.6014119), (1.0387521, 0.9986867), (1.6197497, 0.3614408))
CLASSO_MISPLACED = (37, 87, 101, 134, 136)

# Stata's classifylasso on the savings rates of Su, Shi & Phillips (2016). With the lag, `dynamic`, lambda(1.5485) and
# tolerance(1e-4): Huang, Wang & Zhou (2024, Stata Journal 24, section 3.4). Rows are groups of 31 and 25 countries.
JACKKNIFE = ((0.6952103, -0.160168, -0.1490145, 0.2892251), (0.6938863, 0.1967192, 0.1225496, 0.1126528))
HAC = ((0.0383023, 0.039182, 0.0368407, 0.0379408), (0.0356796, 0.0399412, 0.0411717, 0.0474176))
# Without it, at its defaults (lambda 0.2, tolerance(1e-4)): log of C. Mendez, "Identifying latent group structures in
# panel data: the classifylasso command in Stata" (2026). Groups of 34 and 22.
STATIC = ((-0.1813043, -0.1966381, 0.3345556), (0.4780886, 0.2631097, 0.1116502))
# The same log: xtreg, fe and reghdfe, vce(robust) of savings on its lag, cpi, interest, gdp
POOLED = (0.6050842, 0.0301213, 0.0059256, 0.1882033)
POOLED_IID = (0.0272985, 0.0277065, 0.02786, 0.0273507)
POOLED_ROBUST = (0.0288472, 0.0320726, 0.0302145, 0.033945)

# Democracy and growth (Acemoglu, Naidu, Restrepo & Robinson 2019; 98 countries, 1971-2010): log GDP on democracy and
# its lag, country and year effects, clustered by country. The same log: reghdfe, then classifylasso's estimates after
# classification with the half-panel jackknife (groups of 57 and 41).
DEMOCRACY = ((1.054992, 0.970495), (0.369806, 0.0059964))
DEMOCRACY_GROUPS = {
    "G1": ((2.151397, 1.032752), (0.5460536, 0.0068864)),
    "G2": ((-0.9355893, 0.9793272), (0.3481464, 0.0102301)),
}

# ---- fixed effects ----------------------------------------------------------------------------------------------

# Petersen's (2009) simulated panel, OLS of y on x, as Stata's regress prints it: README of the R package regr 0.0.2.
# (intercept, slope): coefficient, then standard errors
PETERSEN = {
    "coefficient": (0.02967972, 1.03483344),
    "nonrobust": (0.02835932, 0.02858329),
    "HC1": (0.02836067, 0.02839516),
    "cluster": (0.06701270, 0.05059573),
}
# Grunfeld's investment data, 10 firms: R package plm, inv ~ value + capital, model = "within" (rforanalytics.com, 9.2)
GRUNFELD = {"coefficient": (0.110124, 0.310065), "error": (0.011857, 0.017355), "df": 188, "rss": 523480, "r2": 0.76676}
