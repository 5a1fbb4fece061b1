"""What a run is, in a few lines; recipe.json has every setting."""

from pdr_jax import recipes
from pdr_jax.recipes import Recipe
from pdr_jax.runs.settings import flat

_SAID = ("dataset", "in_length", "out_length", "backbone", "adapter", "loss", "steps", "seed")


def summary(recipe: Recipe, steps: int) -> list[tuple[str, str]]:
    """A run's data, model and length, and its settings that are not the published recipe's.

    Args:
      recipe: of the run.
      steps: how many it takes in all.

    Returns:
      Pairs (what, text) for `commands.columns.print_columns`.
    """
    published = recipes.create(
        recipe.dataset, backbone=recipe.backbone, adapter=recipe.adapter, loss=recipe.loss
    )
    usual = flat(published.to_json())
    other = [
        f"{name}={value}"
        for name, value in flat(recipe.to_json()).items()
        if value != usual.get(name) and name not in _SAID
    ]
    return [
        ("data", f"{recipe.dataset}, {recipe.in_length} -> {recipe.out_length} frames"),
        ("model", f"{recipe.label}, loss {recipe.loss}, seed {recipe.seed}"),
        ("training", f"{steps} steps of {recipe.batch_size} clips"),
        ("settings", "; ".join(other) or "those of the published recipe"),
    ]
