"""Results objects on statsmodels' classes, and what they print."""
