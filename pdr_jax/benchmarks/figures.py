"""Metrics that others published, to stand beside ours; `figures.csv` says whose they are.

OpenSTL's are those of its model zoo, PredFormer's of its repository, PDR's of arXiv 2606.31050.
All were taken under OpenSTL's protocol: the best checkpoint on the test set.
"""

import csv
from importlib import resources


def published_figures(dataset: str) -> dict[str, dict[str, float]]:
    """{"TAU (published by OpenSTL, 50 epochs)": {"mse": 0.3108, ...}, ...}; {} if there is none."""
    text = resources.files("pdr_jax.benchmarks").joinpath("figures.csv").read_text("utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        if row.pop("dataset") != dataset:
            continue
        method, source, setting = (row.pop(key) for key in ("method", "source", "setting"))
        where = ", ".join(filter(None, (f"published by {source}", setting)))
        found[f"{method} ({where})"] = {name: float(text) for name, text in row.items() if text}
    return found
