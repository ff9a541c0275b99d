"""Small unbalanced panels with dense designs, for tests of partialled-out inference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gifepanel.projections.system import Effect
from tests.reference.fwl_cases import orthonormal


@dataclass(frozen=True)
class Panel:
    """y on x with nuisance columns D; focal columns first in `design`."""

    y: np.ndarray
    x: np.ndarray
    nuisance: np.ndarray
    effects: tuple[Effect, ...]
    weights: np.ndarray | None
    firm: np.ndarray
    year: np.ndarray
    region: np.ndarray

    @property
    def root(self) -> np.ndarray:
        return np.ones(len(self.y)) if self.weights is None else np.sqrt(self.weights)

    @property
    def design(self) -> np.ndarray:
        """x and a basis of the nuisance part, full rank."""
        return np.column_stack([self.x, self.basis])

    @property
    def basis(self) -> np.ndarray:
        """Nuisance columns of full rank, orthonormal under the weights."""
        return orthonormal(self.nuisance * self.root[:, None]) / self.root[:, None]

    @property
    def rank(self) -> int:
        return self.basis.shape[1]

    def partialled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients, x~, residuals."""
        q, root = self.basis * self.root[:, None], self.root
        columns = np.column_stack([self.y, self.x]) * root[:, None]
        for _ in range(2):
            columns = columns - q @ (q.T @ columns)
        columns = columns / root[:, None]
        y, x = columns[:, 0], columns[:, 1:]
        params = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        return params, x, y - x @ params


def dummies(codes: np.ndarray) -> np.ndarray:
    return np.eye(int(codes.max()) + 1)[codes]


def panel(
    kind: str = "two", *, weighted: bool = False, seed: int = 7, firms: int = 24, years: int = 6, regions: int = 8
) -> Panel:
    """An unbalanced panel; rows shuffled; firms lie in regions.

    Parameters
    ----------
    kind : {"constant", "firm", "year", "two", "slopes", "slopes alone"}
        What is absorbed.
    """
    rng = np.random.default_rng(seed)
    firm, year = np.repeat(np.arange(firms), years), np.tile(np.arange(years), firms)
    keep = rng.random(firms * years) > 0.15
    keep[: 2 * years] = True
    firm, year = firm[keep], year[keep]
    shuffle = rng.permutation(len(firm))
    firm, year = firm[shuffle], year[shuffle]
    region = firm % regions
    n = len(firm)
    x = rng.normal(size=(n, 2)) + rng.normal(size=(firms, 2))[firm] + 0.5 * rng.normal(size=(years, 2))[year]
    e = rng.normal(size=n) * np.exp(0.3 * x[:, 0]) + rng.normal(size=regions)[region] * x[:, 1]
    y = x @ [1.0, -0.5] + rng.normal(size=firms)[firm] + rng.normal(size=years)[year] + e
    weights = rng.uniform(0.3, 3.0, n) if weighted else None
    slope = year - 2.5
    of_firm, of_year = Effect("firm", firm, firms), Effect("year", year, years)
    choices = {
        "constant": (np.ones((n, 1)), ()),
        "firm": (dummies(firm), (of_firm,)),
        "year": (dummies(year), (of_year,)),
        "two": (np.column_stack([dummies(firm), dummies(year)]), (of_firm, of_year)),
        "slopes": (
            np.column_stack([dummies(region), dummies(region) * slope[:, None], dummies(year)]),
            (Effect("region", region, regions), Effect("region[trend]", region, regions, slope), of_year),
        ),
        "slopes alone": (
            np.column_stack([dummies(year) * (1 + firm / 9)[:, None], dummies(region) * slope[:, None]]),
            (Effect("year[size]", year, years, 1 + firm / 9), Effect("region[trend]", region, regions, slope)),
        ),
    }
    nuisance, effects = choices[kind]
    return Panel(y, x, nuisance, effects, weights, firm, year, region)
