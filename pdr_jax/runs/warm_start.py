"""The parameters of one run as the start of another (`Recipe.init_from`).

Backbone weights must match, or the start is refused. Adapter and fusion weights are copied where
shapes match, else drawn anew.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import read_data, read_recipe
from pdr_jax.runs.saved import Saved
from pdr_jax.train import TrainState

COLLECTIONS = ("params", "batch_stats")


class Origin(NamedTuple):
    """The source run: the run that a new run starts from.

    Attributes:
      folder: the source run's folder.
      recipe: the source run's recipe.
      step: the step of its best checkpoint.
      variables: "params" and "batch_stats" of that checkpoint, NumPy.
    """

    folder: Path
    recipe: Recipe
    step: int
    variables: dict[str, Any]

    def parts(self, recipe: Recipe, state: TrainState) -> tuple[str, ...]:
        """The parts of the model, such as "backbone", that a new run copies.

        Args:
          recipe: the new run's recipe.
          state: the new run's state, or its shapes.

        Raises:
          ValueError: the backbones do not match, or a predictor that is to be frozen is not whole;
            the message names the field.
        """
        if recipe.backbone != self.recipe.backbone:
            raise ValueError(
                f"backbone={recipe.backbone!r}: the run to start from, {self.folder}, has "
                f"{self.recipe.backbone!r}"
            )
        misfits = {part: self._misfit(part, state) for part in self.variables["params"]}
        if misfits["backbone"]:
            fields = self._differences(recipe) or "the frames differ"
            raise ValueError(
                f"{fields}: weights of {self.folder} do not fit ({misfits['backbone']})"
            )
        parts = tuple(part for part, misfit in misfits.items() if not misfit)
        if recipe.frozen:
            self._check_whole(recipe, set(state.params) - {*parts, "residual"})
        return parts

    def into(self, state: TrainState, parts: tuple[str, ...]) -> TrainState:
        """The state with these parts copied from the source run; its shardings are kept."""
        new = {name: dict(getattr(state, name)) for name in COLLECTIONS}
        for name, collection in new.items():
            for part in parts:
                if part in collection:
                    collection[part] = jax.tree.map(
                        lambda here, there: jax.device_put(there, here.sharding),
                        collection[part],
                        self.variables[name][part],
                    )
        ema = None if state.ema is None else jax.tree.map(jnp.copy, new)
        return state.replace(**new, ema=ema)

    def to_json(self, parts: tuple[str, ...]) -> dict[str, Any]:
        """The entry of data.json that describes the copied parts and what they were trained on."""
        return {
            "run": str(self.folder),
            "step": self.step,
            "protocol": self.recipe.protocol,
            "parts": parts,
            "data": read_data(self.folder),
        }

    def _check_whole(self, recipe: Recipe, missing: set[str]) -> None:
        """Raises ValueError unless a predictor that will not be trained is the source run's."""
        for name in ("predgs", "fusion", "gate_start") if recipe.renders else ():
            if getattr(recipe, name) != getattr(self.recipe, name):
                missing.add(name)
        if missing:
            raise ValueError(
                f"diffusion.freeze=True: expected the predictor of {self.folder}, adapter "
                f"{self.recipe.adapter!r}; another {', '.join(sorted(missing))} would never train"
            )

    def _misfit(self, part: str, state: TrainState) -> str:
        """The first variable of a part whose shape differs, in words; "" if all are the same."""
        for name in COLLECTIONS:
            here, there = (
                {path: leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}
                for tree in (
                    getattr(state, name).get(part, {}),
                    self.variables[name].get(part, {}),
                )
            )
            for path in sorted(here | there):
                if here.get(path) != there.get(path):
                    return f"{part}/{path}: {there.get(path)} there, {here.get(path)} here"
        return ""

    def _differences(self, recipe: Recipe) -> str:
        """The fields in which the two runs' backbones differ, in words."""
        here, there = recipe.backbone_options, self.recipe.backbone_options
        differences = [
            f"backbone_options.{name}={here.get(name)!r}, there {there.get(name)!r}"
            for name in here | there
            if here.get(name) != there.get(name)
        ]
        if recipe.in_length != self.recipe.in_length:
            differences.append(f"in_length={recipe.in_length}, there {self.recipe.in_length}")
        return "; ".join(differences)


def read_origin(run: Path) -> Origin:
    """The best parameters of a run folder; its data set need not be prepared.

    Raises:
      FileNotFoundError: `run` is no run folder, or has no checkpoint.
    """
    recipe = read_recipe(run)
    return Origin(run, recipe, *Saved(run / "checkpoints").variables())
