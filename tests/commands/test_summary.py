"""A run in a few lines."""

from pdr_jax import recipes
from pdr_jax.commands.summary import summary


def test_settings_that_are_not_the_published_ones_are_told():
    recipe = recipes.create("videos", adapter="none", batch_size=8, steps=600, in_length=5, seed=3)
    recipe.data_options["height"] = 32
    told = dict(summary(recipe, 600))
    assert told["data"] == "videos, 5 -> 10 frames"
    assert told["model"] == "tau, loss mse_ddr, seed 3"
    assert told["training"] == "600 steps of 8 clips"
    assert told["settings"] == "data_options.height=32; batch_size=8"
    usual = recipes.create("kth")
    assert dict(summary(usual, 1))["settings"] == "those of the published recipe"
