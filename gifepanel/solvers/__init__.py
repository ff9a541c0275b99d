"""Solvers: arrays in, frozen dataclasses out."""
