"""`pdr models`: the list of predictors, and the card of one."""

import sys

import tyro
from rich.console import Console
from rich.markup import escape

from pdr_jax import backbones, recipes
from pdr_jax.backbones import Backbone, size
from pdr_jax.backbones.base import ClipPredictor, FramePredictor
from pdr_jax.benchmarks.sizes import published_sizes
from pdr_jax.commands.columns import print_columns
from pdr_jax.recipes import Recipe


def models(name: tyro.conf.Positional[str] = "", dataset: str = "taxibj") -> None:
    """List the predictors, or show one's card.

    Args:
        name: A predictor.
        dataset: The benchmark at whose size the card counts parameters and operations. They are
            counted for the faithful form, if there is one, because that is the published one.
    """
    if name:
        console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
        console.print("\n".join(_card(name, dataset)))
    else:
        rows = [("name", "predicts", "paper"), *map(_row, backbones.names())]
        rows += [(name, "(not here)", why) for name, why in backbones.ABSENT.items()]
        print_columns(rows, (18, 16))


def _row(name: str) -> tuple[str, str, str]:
    card = backbones.card(name)
    frames = issubclass(backbones.backbone(name), FramePredictor)
    return name, "frame by frame" if frames else "a clip", f"{card.title} ({card.venue})"


def _card(name: str, dataset: str) -> list[str]:
    card = backbones.card(name)
    recipe = recipes.create(dataset, backbone=name, adapter="none")
    module = recipes.published_backbone(name, dataset)
    lines = [
        f"[bold]{escape(name)}[/]  {escape(card.title)}",
        f"{escape(card.venue)}, {card.link}",
        f"held against: {escape(card.source)}",
        f"as there: {escape(card.faithful)}",
    ]
    if card.corrected:
        lines.append(f"corrected: {escape(card.corrected)}")
    lines += _sizes(module, name, recipe)
    listed = ", ".join(f"{key}={getattr(module, key)}" for key in recipe.backbone_options)
    lines.append(f"hyperparameters there: {listed}")
    if "faithful" in recipe.backbone_options:
        trained = backbones.create(name, module.in_shape, **recipe.backbone_options)
        lines.append(f"trained here with faithful=False: {size.parameters(trained):,} parameters")
    return lines


def _sizes(module: Backbone, name: str, recipe: Recipe) -> list[str]:
    """Our count of parameters and operations, and the published count if there is one."""
    if isinstance(module, ClipPredictor):
        passes = f"one pass, which predicts {module.clip_length} frames"
    else:
        passes = f"all {recipe.in_length + recipe.out_length - 1} steps"
    lines = [
        f"at {recipe.dataset}'s size {'x'.join(map(str, module.in_shape))} -> {recipe.out_length}: "
        f"{size.parameters(module):,} parameters, "
        f"{size.gmacs(module, recipe.out_length):.4g} G multiply-accumulates in {passes} "
        "(those with zeros outside the frame left out)"
    ]
    for theirs in published_sizes():
        same = (theirs.backbone, theirs.dataset) == (name, recipe.dataset)
        if same and theirs.options.items() <= recipe.backbone_options.items():
            gmacs = f", {theirs.gmacs} G" if theirs.gmacs else ""
            lines.append(f"published ({theirs.source}): {theirs.parameters} M parameters{gmacs}")
            break
    return lines
