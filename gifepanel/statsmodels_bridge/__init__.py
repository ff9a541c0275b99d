"""What exists because results are statsmodels' results: answers of ours to its methods, and what is refused."""
