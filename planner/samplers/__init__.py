"""Where a graph's nodes come from: each has `fit` and `sample`, and a row in `run/registry.py` gives it its name."""
