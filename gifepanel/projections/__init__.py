"""Partialling out: each projection takes a nuisance part out of the columns it is given."""
