"""Parameters and multiply-accumulates of every backbone, beside the published figures.

    python -m experiments.backbone_sizes

Each backbone on each benchmark for which a size was published, and PredFormer in each variant.
Nothing is trained or run: shapes are evaluated, and XLA counts the operations.
"""

import json

import tyro

from experiments import provenance
from pdr_jax import recipes
from pdr_jax.backbones import size
from pdr_jax.benchmarks.sizes import published_sizes
from pdr_jax.files import write_json


def main(names: tuple[str, ...] = ()) -> None:
    """Counts and writes results/backbone_sizes.json.

    Args:
        names: Of backbones; all that have a published size by default.
    """
    rows = []
    for theirs in published_sizes():
        if names and theirs.backbone not in names:
            continue
        module = recipes.published_backbone(theirs.backbone, theirs.dataset, **theirs.options)
        recipe = recipes.create(theirs.dataset, backbone=theirs.backbone, adapter="none")
        counted = {
            "parameters": size.parameters(module),
            "gmacs": size.gmacs(module, recipe.out_length),
        }
        rows.append({"published": theirs._asdict(), **counted})
        print(json.dumps(rows[-1]), flush=True)
    result = {**provenance.record(seeds=[0]), "rows": rows}
    write_json(provenance.RESULTS / "backbone_sizes.json", result)


if __name__ == "__main__":
    tyro.cli(main)
