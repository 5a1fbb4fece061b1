"""Published metrics of other code, for comparison; `figures.csv` names the source of each row.

The sources are OpenSTL's model zoo, PredFormer's repository, and the papers of PFGNet (arXiv
2602.20537) and PDR (arXiv 2606.31050): their own figures of their own methods, which nobody ran
again for this table. All follow OpenSTL's protocol: the best checkpoint is chosen on the test set.
PFGNet's PSNR of KTH is left out: it is of the other definition, over the clip and not per frame.
"""

import csv
from importlib import resources


def published_figures(dataset: str) -> dict[str, dict[str, float]]:
    """{"TAU (published by OpenSTL, 50 epochs)": {"mse": 0.3108, ...}, ...}; else {}."""
    text = resources.files("pdr_jax.benchmarks").joinpath("figures.csv").read_text("utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        if row.pop("dataset") != dataset:
            continue
        method, source, setting = (row.pop(key) for key in ("method", "source", "setting"))
        where = ", ".join(filter(None, (f"published by {source}", setting)))
        found[f"{method} ({where})"] = {name: float(text) for name, text in row.items() if text}
    return found
