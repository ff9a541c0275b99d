"""The package within-py behind the same interface."""

from __future__ import annotations

import pickle
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import gifepanel as gife
from gifepanel.exceptions import SpecificationError
from gifepanel.projections import accelerator
from gifepanel.projections.absorb import Absorption
from tests.projections.effects import KINDS, design


@pytest.mark.parametrize("weights", ["none", "positive", "zeros"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_residuals(kind: str, weights: str) -> None:
    pytest.importorskip("within")
    data = design(kind, weights)
    absorption = Absorption(data.effects, data.weights, accelerator="within")
    out, certificate = absorption.residualize(data.columns)
    assert certificate.converged
    assert certificate.method in ("demeaning", "LSMR (within-py)")
    assert_allclose(out * data.root[:, None], data.residuals(), atol=1e-8)
    again = pickle.loads(pickle.dumps(absorption)).residualize(data.columns)[0]
    assert_allclose(again, out, atol=1e-8)


def test_from_the_model() -> None:
    pytest.importorskip("within")
    rng = np.random.default_rng(0)
    n = 2_000
    data = {"firm": rng.integers(0, 90, n), "worker": rng.integers(0, 300, n), "x": rng.normal(size=n)}
    data["y"] = data["x"] + 0.1 * data["firm"] + rng.normal(size=n)
    model = gife.PartialledOLS.from_formula("y ~ x | worker + firm", pd.DataFrame(data))
    own, other = model.fit(), model.fit(accelerator="within")
    assert other.absorption.method == "LSMR (within-py)"
    assert_allclose(other.params, own.params, rtol=1e-10)
    assert_allclose(other.bse, own.bse, rtol=1e-10)
    assert "within-py" in str(other.summary())


def test_unknown_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecificationError, match="accelerator is 'cuda'"):
        accelerator.check_accelerator("cuda")

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(accelerator, "version", missing)
    with pytest.raises(SpecificationError, match=r'not installed.*pip install "within-py>=0.4,<0.5"'):
        accelerator.check_accelerator("within")
    monkeypatch.setattr(accelerator, "version", lambda name: "0.7.1")
    with pytest.raises(SpecificationError, match=r"within-py 0\.7\.1 is installed"):
        accelerator.check_accelerator("within")
