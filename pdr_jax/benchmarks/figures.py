"""Published metrics of other code, for comparison; the tables name the source of each row.

The sources are OpenSTL's model zoo, PredFormer's repository, and the papers of PFGNet (arXiv
2602.20537) and PDR (arXiv 2606.31050): their own figures of their own methods, which nobody ran
again for this table. Those of `figures.csv` follow OpenSTL's protocol: the best checkpoint is
chosen on the test set.
MMVP and USTEP have no rows: only what was seen in its source is here, and the tables of their
papers (arXiv 2308.16154, 2310.05829) were not. A method without public code gets the setting "not
rerun".
PFGNet's PSNR of KTH is left out: it is of the other definition, over the clip and not per frame.
Those of `mcvd.csv` follow MCVD's (`pdr_jax.evaluation.mcvd`): PDR's table of KTH at 64x64, whose
horizon is not known to us, and MCVD's own figures as its readers quote them (its issue 30). Frames
a second are of the paper's GPU, which is not known either.
"""

import csv
from importlib import resources

TABLES = {"openstl": "figures.csv", "mcvd": "mcvd.csv"}
"""By protocol."""


def published_figures(dataset: str, protocol: str = "openstl") -> dict[str, dict[str, float]]:
    """{"TAU (published by OpenSTL, 50 epochs)": {"mse": 0.3108, ...}, ...}; else {}."""
    text = resources.files("pdr_jax.benchmarks").joinpath(TABLES[protocol]).read_text("utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        if row.pop("dataset") != dataset:
            continue
        method, source, setting = (row.pop(key) for key in ("method", "source", "setting"))
        where = ", ".join(filter(None, (f"published by {source}", setting)))
        found[f"{method} ({where})"] = {name: float(text) for name, text in row.items() if text}
    return found
