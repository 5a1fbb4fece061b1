"""`pdr models`: what predictors there are, and one's card."""

import csv
from importlib import resources
from typing import Any, NamedTuple

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pdr_jax import backbones, recipes
from pdr_jax.backbones import Backbone, size
from pdr_jax.backbones.base import ClipPredictor, FramePredictor
from pdr_jax.benchmarks import BENCHMARKS


class Published(NamedTuple):
    """A size that others published, as they printed it; "" where they did not.

    Attributes:
      backbone: its name here.
      dataset: the benchmark.
      options: hyperparameters that are not those of the benchmark's recipe.
      source: whose table.
      parameters: millions.
      gmacs: billions of multiply-accumulates of one pass ("FLOPs" in those tables).
    """

    backbone: str
    dataset: str
    options: dict[str, Any]
    source: str
    parameters: str
    gmacs: str


def published() -> list[Published]:
    """Every published size that `published_sizes.csv` has."""
    text = resources.files("pdr_jax").joinpath("published_sizes.csv").read_text("utf-8")
    _, *rows = csv.reader(text.splitlines())
    return [
        Published(backbone, dataset, _options(options), source, parameters, gmacs)
        for backbone, dataset, options, source, parameters, gmacs in rows
    ]


def _options(text: str) -> dict[str, Any]:
    pairs = (pair.partition("=") for pair in text.split())
    return {name: int(value) if value.isdecimal() else value for name, _, value in pairs}


def build(name: str, dataset: str, **options: Any) -> Backbone:
    """The backbone as it is trained on a benchmark; as published where it has a faithful form.

    Args:
      name: of the backbone.
      dataset: a key of BENCHMARKS.
      **options: hyperparameters in place of the recipe's.
    """
    recipe = recipes.create(dataset, backbone=name, adapter="none")
    faithful = {"faithful": True} if "faithful" in recipe.backbone_options else {}
    shape = (recipe.in_length, *BENCHMARKS[dataset].frame_shape)
    return backbones.create(name, shape, **recipe.backbone_options | faithful | options)


def models(name: tyro.conf.Positional[str] = "", dataset: str = "taxibj") -> None:
    """List the predictors, or show one's card.

    Args:
        name: A predictor.
        dataset: The benchmark at whose size the card counts parameters and operations, of the
            faithful form where there is one, as that is what was published.
    """
    console = Console(soft_wrap=True, highlight=False)
    if not name:
        table = Table("name", "paper", "where", "predicts", box=None, pad_edge=False)
        for known in backbones.names():
            card = backbones.card(known)
            frames = issubclass(backbones.backbone(known), FramePredictor)
            table.add_row(known, card.title, card.venue, "frame by frame" if frames else "a clip")
        console.print(table)
        return
    card = backbones.card(name)
    recipe = recipes.create(dataset, backbone=name, adapter="none")
    module = build(name, dataset)
    theirs = next(
        (
            row
            for row in published()
            if (row.backbone, row.dataset) == (name, dataset)
            and row.options.items() <= recipe.backbone_options.items()
        ),
        None,
    )
    counted = size.parameters(module), size.gmacs(module, recipe.out_length)
    if isinstance(module, ClipPredictor):
        passes = f"one pass, which predicts {module.clip_length} frames"
    else:
        passes = f"all {recipe.in_length + recipe.out_length - 1} steps"
    lines = [
        f"[bold]{escape(name)}[/]  {escape(card.title)}",
        f"{escape(card.venue)}, {card.link}",
        f"held against: {escape(card.source)}",
        f"as there: {escape(card.faithful)}",
    ]
    if card.corrected:
        lines.append(f"corrected: {escape(card.corrected)}")
    lines.append(
        f"at {dataset}'s size {'x'.join(map(str, module.in_shape))} -> {recipe.out_length}: "
        f"{counted[0]:,} parameters, {counted[1]:.4g} G multiply-accumulates in {passes} "
        "(those with zeros outside the frame left out)"
    )
    if theirs is not None:
        gmacs = f", {theirs.gmacs} G" if theirs.gmacs else ""
        lines.append(f"published ({theirs.source}): {theirs.parameters} M parameters{gmacs}")
    listed = ", ".join(f"{key}={getattr(module, key)}" for key in recipe.backbone_options)
    lines.append(f"hyperparameters there: {listed}")
    if "faithful" in recipe.backbone_options:
        trained = backbones.create(name, module.in_shape, **recipe.backbone_options)
        lines.append(f"trained here with faithful=False: {size.parameters(trained):,} parameters")
    console.print("\n".join(lines))
