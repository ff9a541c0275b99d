"""Jitted loops: plain functions on arrays, with no LAPACK and no pandas inside."""
