"""Minima met on a sample of the entities: starts that lead to one of them are one descent on the whole panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["MetMinima"]

Fit = TypeVar("Fit", bound=Any)
_SAME = 1e-6


@dataclass(frozen=True)
class MetMinima(Generic[Fit]):
    """Fits to a sample, each with the number of the fit to the whole panel that began there."""

    fits: list[tuple[Fit, int]] = field(default_factory=list)

    @property
    def best(self) -> Fit | None:
        """The one with the smallest sum of squares."""
        return min((fit for fit, _ in self.fits), key=lambda fit: float(fit.ssr), default=None)

    def number_of(self, fit: Fit) -> int | None:
        """The number of the fit to the whole panel that began here; None where this has not been met."""
        for known, number in self.fits:
            if known is fit or (fit.converged and abs(known.ssr - fit.ssr) <= _SAME * known.ssr):
                return number
        return None

    def put_down(self, fit: Fit, number: int) -> None:
        """A fit to the whole panel began at this one."""
        if fit.converged:
            self.fits.append((fit, number))
