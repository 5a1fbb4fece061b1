"""Parameters and multiply-accumulates of every backbone, beside the published figures.

    python -m experiments.backbone_sizes

At the size of each benchmark for which somebody published a size; PredFormer in each of its
variants. Nothing is trained or run: shapes are evaluated, and XLA counts the operations.
"""

import csv
import json
from importlib import resources

import tyro

from experiments import provenance
from pdr_jax import models, recipes, run
from pdr_jax.backbones import size


def main(names: tuple[str, ...] = ()) -> None:
    """Counts and writes results/backbone_sizes.json.

    Args:
        names: Of backbones; all that have a published size by default.
    """
    text = resources.files("pdr_jax").joinpath("published_sizes.csv").read_text("utf-8")
    rows = []
    for row in csv.DictReader(text.splitlines()):
        name, dataset, variant = row["backbone"], row["dataset"], row["variant"]
        if names and name not in names:
            continue
        module = models.build(name, dataset, variant)
        horizon = recipes.create(dataset, backbone=name, adapter="none").out_length
        row["published_gmacs"] = row.pop("gmacs")
        found = {"parameters": size.parameters(module), "gmacs": size.gmacs(module, horizon)}
        rows.append({**row, **found})
        print(json.dumps(rows[-1]), flush=True)
    result = {**provenance.record(seeds=[0]), "rows": rows}
    run.write_json(provenance.RESULTS / "backbone_sizes.json", result)


if __name__ == "__main__":
    tyro.cli(main)
