"""A real panel and simulated ones: `load_cigar`, `simulate`."""

from gifepanel.datasets.cigar import load_cigar
from gifepanel.datasets.simulate import SimulatedPanel, Truth, simulate

__all__ = ["SimulatedPanel", "Truth", "load_cigar", "simulate"]
