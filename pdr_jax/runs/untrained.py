"""Writes the folder of a run whose weights were not trained here."""

import errno
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from pdr_jax.files import write_json
from pdr_jax.recipes import Recipe
from pdr_jax.runs import stopping
from pdr_jax.runs.checkpoints import Checkpoints
from pdr_jax.task import optimisation
from pdr_jax.train import TrainState


def write_run(
    out: Path, recipe: Recipe, described: dict[str, Any], variables: Mapping[str, Any]
) -> None:
    """Makes the folder of a run whose weights were not trained here; whole, or not at all.

    Args:
      out: the run's folder; it must be empty, if it exists.
      recipe: the run's recipe; a training that continues from the weights follows it.
      described: the content of data.json.
      variables: of the backbone: "params", and "batch_stats" if it has any.
    """
    params = {"backbone": variables["params"]}
    statistics = variables.get("batch_stats")
    tx = optimisation(recipe, samples=recipe.batch_size).tx
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats={"backbone": statistics} if statistics else {},
        opt_state=tx.init(params),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        # Orbax saves in a thread of its own, which a signal would not end.
        stopping.noticed(lambda _: None) as noticed,
        tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder,
    ):
        partial = Path(folder) / "run"
        partial.mkdir()
        write_json(partial / "recipe.json", recipe.to_json())
        write_json(partial / "data.json", described)
        with Checkpoints(partial / "checkpoints") as saved:
            # Imported weights are not scored, so that any trained checkpoint counts as better.
            saved.save(state, data=None, config=recipe.to_json(), score=math.inf)
        try:
            partial.rename(out)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise FileExistsError(f"out={str(out)!r}: made by another meanwhile") from error
            raise
    if signalled := noticed():
        stopping.stop(signalled)
