"""What `pdr train` takes where the command line leaves it open: the recipe and the run's folder."""

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from pdr_datasets import Units
from pdr_jax import recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import read_recipe, recorded_units


def named_recipe(argv: list[str]) -> Recipe:
    """The published recipe for what the command line chooses: data set, backbone, protocol, ...

    With --init-from, the backbone, its options and `in_length` are those of the source run, and so
    are the settings of the parts of the adapter that both runs have. Without --adapter, the adapter
    is the source run's too, unless that has none. On the same data set, so are the protocol and the
    other fields that decide which clips a run sees.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--backbone", "--adapter", "--loss", "--protocol"):
        parser.add_argument(option)
    parser.add_argument("--init-from", "--init_from")
    known, rest = parser.parse_known_args(argv)
    words = [word for word in rest[:1] if not word.startswith("-")]
    words += [word for word in rest if word in BENCHMARKS]
    dataset = words[0] if words else ""
    chosen = {name: value for name, value in vars(known).items() if value is not None}
    if "init_from" in chosen:
        origin = read_recipe(Path(chosen["init_from"]))
        dataset = dataset or origin.dataset
        if chosen.setdefault("backbone", origin.backbone) != origin.backbone:
            raise ValueError(
                f"backbone={chosen['backbone']!r}: the run to start from, {chosen['init_from']}, "
                f"has {origin.backbone!r}; leave out --backbone"
            )
        if origin.adapter != "none":
            chosen.setdefault("adapter", origin.adapter)
        same = dataset == origin.dataset
        clips = (*recipes.CLIP_FIELDS, "protocol") if same else ("in_length",)
        kept = ("backbone_options", *_adapter_fields(chosen.get("adapter", ""), origin), *clips)
        chosen |= {name: getattr(origin, name) for name in kept}
        if same and dataset == "arrays":
            chosen["data_options"] |= _scaling_of(Path(chosen["init_from"]))
    if not argv:
        raise ValueError(f"dataset is missing: pdr train DATASET, one of {', '.join(BENCHMARKS)}")
    return recipes.create(dataset or "moving_sprites", **chosen)


def _adapter_fields(adapter: str, origin: Recipe) -> tuple[str, ...]:
    """The fields that build those parts of an adapter that the source run has too."""
    parts = adapter.replace("predgs", recipes.DEFAULT_ADAPTER).split("+")
    theirs = origin.adapter.replace("predgs", recipes.DEFAULT_ADAPTER).split("+")
    found: tuple[str, ...] = ()
    if origin.renders and parts[0] == theirs[0]:
        found += ("predgs", "fusion", "fusion_init", "gate_start")
    if origin.samples and parts[-1] == theirs[-1]:
        found += ("diffusion",)
    return found


def _scaling_of(run: Path) -> dict[str, Any]:
    """The option that gives an array the units of a run, which its weights know."""
    recorded = recorded_units(run)
    if recorded is None or recorded.units == Units():  # uint8 frames have no other units
        return {}
    return {"scaling": f"{recorded.units.offset},{recorded.units.scale}"}


def default_folder(recipe: Recipe) -> Path:
    """runs/DATASET-BACKBONE-ADAPTER-LOSS-seedN.

    The name also has the protocol if it is not "standard", the run that training starts from, and
    a code for all other settings if any of them is not the published recipe's. Where a run is
    logged makes no difference.
    """
    recipe = dataclasses.replace(recipe, log=())
    parts = [recipe.dataset, recipe.backbone, recipe.adapter, recipe.loss]
    parts += [recipe.protocol] if recipe.protocol != "standard" else []
    parts += [f"from-{Path(recipe.init_from).name}"] if recipe.init_from else []
    parts += [f"seed{recipe.seed}"]
    named = ("dataset", "backbone", "adapter", "loss", "protocol", "init_from", "seed")
    chosen: dict[str, Any] = {name: getattr(recipe, name) for name in named}
    if recipe != recipes.create(**chosen):
        settings = recipe.to_json()
        del settings["log"]
        text = json.dumps(settings, sort_keys=True, default=str)
        parts += [hashlib.sha256(text.encode()).hexdigest()[:6]]
    return Path("runs") / "-".join(parts)
