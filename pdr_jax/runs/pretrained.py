"""A trained predictor in the folder layout of Hugging Face, without its hub.

FOLDER/config.json            recipe, data, figures and versions
FOLDER/model.safetensors      the variables, under names such as params.backbone.hidden.kernel
FOLDER/README.md              the model card
FOLDER/predictor.stablehlo    the predictor as a program, see `pdr_jax.evaluation.stablehlo`
FOLDER/predict.py             runs that program; needs no pdr-jax
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import empty_node, flatten_dict, unflatten_dict

from pdr_jax.evaluation import stablehlo
from pdr_jax.evaluation.prediction import predict_array
from pdr_jax.files import new_folder, read_json, write_json
from pdr_jax.interop import safetensors
from pdr_jax.recipes import Recipe
from pdr_jax.runs.checkpoints import versions
from pdr_jax.runs.digests import first_not_finite
from pdr_jax.runs.folder import describe_dataset, described_dataset, read_data, recorded_dataset
from pdr_jax.runs.model_card import model_card
from pdr_jax.runs.state import load
from pdr_jax.task import Task, open_task

CONFIG, WEIGHTS, PROGRAM = "config.json", "model.safetensors", "predictor.stablehlo"
PREDICT = f'''\
"""python predict.py FRAMES.npy FUTURE.npy: needs jax, flatbuffers and numpy, and no pdr-jax.

FRAMES are clips (N, T, H, W, C) or one clip (T, H, W, C), and FUTURE (N, horizon, H, W, C), both in
stored units.
"""

import pathlib, sys
import jax.export
import numpy as np

if len(sys.argv) != 3:
    sys.exit(__doc__)
program = jax.export.deserialize(
    bytearray(pathlib.Path(__file__).with_name("{PROGRAM}").read_bytes())
)
frames = np.load(sys.argv[1])
clips = frames[None] if frames.ndim == 4 else frames
observed, *size = program.in_avals[0].shape[1:]
if clips.ndim != 5 or clips.shape[1] < observed or [*clips.shape[2:]] != size:
    sys.exit(
        f"{{sys.argv[1]}}: shape {{frames.shape}}; expected (N, T, H, W, C) or (T, H, W, C) with "
        f"T of {{observed}} or more and (H, W, C) = {{tuple(size)}}"
    )
np.save(sys.argv[2], program.call(clips[:, -observed:].astype(np.float32)))
'''
# Settings that name a place on the machine of the training, which is nobody else's business.
_PLACES = ("path", "init_from", "run")


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A trained predictor, and all that it takes to use it.

    Attributes:
      task: recipe, model, and the size and units of its frames; it needs no clips.
      variables: of the model: {"params": ..., "batch_stats": ...}, float32.
      step: of the training.
      about: what data.json says of the training.
      metrics: what metrics.json says of the figures; {} if there are none.
    """

    task: Task
    variables: Mapping[str, Any]
    step: int = 0
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def predict(
        self,
        frames: np.ndarray,
        horizon: int | None = None,
        batch_size: int = 16,
        seed: int | None = None,
        samples: int | None = None,
    ) -> np.ndarray:
        """Predicts the frames that follow, in stored units: `predict_array` has the details."""
        return predict_array(
            self.task,
            self.variables,
            frames,
            horizon=horizon,
            batch_size=batch_size,
            seed=seed,
            samples=samples,
        )

    def save_pretrained(
        self,
        folder: Path | str,
        *,
        horizon: int | None = None,
        platforms: Sequence[str] = stablehlo.PLATFORMS,
    ) -> None:
        """Writes the folder, whole or not at all; `from_pretrained` reads it.

        Args:
          folder: a new folder.
          horizon: frames that the program predicts; the recipe's by default.
          platforms: of the program, see `stablehlo.serialise`; () leaves out the program.

        Raises:
          FileExistsError: `folder` exists.
          ImportError: the package flatbuffers, which the program needs, is not installed.
          ValueError: the variables or the model are not those of the recipe, or the horizon or a
            platform is none.
        """
        folder, recipe = Path(folder), self.task.recipe
        check_target(folder, horizon, platforms)
        horizon = horizon or self.task.clip.horizon
        if self.task.model != recipe.build(self.task.dataset.frame_shape):
            raise ValueError("model: it is not the one that the recipe describes")
        flat = _flat(self.variables)
        arrays = {name: np.asarray(leaf) for name, leaf in flat.items() if leaf is not empty_node}
        _check(arrays, self.task, "variables")
        config = {
            "library_name": "pdr-jax",
            "versions": versions(),
            "step": self.step,
            "recipe": dataclasses.replace(recipe, data_dir=None).to_json(),
            "data": {**self.about, **describe_dataset(self.task.dataset)},
            "metrics": self.metrics,
            "program": {"platforms": platforms, "horizon": horizon} if platforms else None,
        }
        config = _without_places(config)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(folder) as partial:
            write_json(partial / CONFIG, config)
            safetensors.save(partial / WEIGHTS, arrays)
            (partial / "README.md").write_text(model_card(folder.name, self.task, arrays, config))
            if platforms:
                program = stablehlo.serialise(
                    self.task, self.variables, horizon=horizon, platforms=platforms
                )
                (partial / PROGRAM).write_bytes(program)
                (partial / "predict.py").write_text(PREDICT)


def check_target(folder: Path, horizon: int | None, platforms: Sequence[str]) -> None:
    """Checks, before any work, that `save_pretrained` can write a folder; raises as it does."""
    if folder.exists():
        raise FileExistsError(f"out={str(folder)!r} is there already: choose a new folder")
    if platforms:
        stablehlo.check(horizon, platforms)


def from_pretrained(folder: Path | str) -> Pretrained:
    """The predictor in a folder that `save_pretrained` wrote, or the best one of a run folder.

    The data set need not be there.

    Raises:
      FileNotFoundError: `folder` is neither, or a file of it is missing.
      ValueError: a file or a checkpoint is damaged, or a tensor is missing, unknown, of another
        shape or type, or not finite.
    """
    folder = Path(folder)
    if not (folder / "recipe.json").exists():
        if (folder / CONFIG).exists():
            return _read(folder)
        raise FileNotFoundError(
            f"{folder} is no run folder and no exported one: it has no recipe.json and no {CONFIG}"
        )
    task, state = load(folder, dataset=recorded_dataset(folder))
    figures = folder / "metrics.json"
    metrics = read_json(figures) if figures.exists() else {}
    return Pretrained(task, state.variables(), int(state.step), read_data(folder), metrics)


def _read(folder: Path) -> Pretrained:
    path = folder / CONFIG
    config = read_json(path)
    parts = {"recipe": dict, "data": dict, "metrics": dict, "step": int}
    for name, kind in parts.items():
        if type(config.get(name)) is not kind:
            raise ValueError(
                f"{path}: {name}={config.get(name)!r}; expected what save_pretrained writes there"
            )
    try:
        recipe = Recipe.from_json(config["recipe"]).portable()
        dataset = described_dataset(config["data"], recipe, path)
        if dataset is None:
            raise ValueError("data: it lacks the size, the units or the range of the frames")
        task = open_task(recipe, dataset)
    except KeyError as error:
        raise ValueError(f"{path} is damaged: {error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    arrays = safetensors.load(folder / WEIGHTS)
    wanted = _check(arrays, task, str(folder / WEIGHTS))
    # Collections and modules without variables have no tensor.
    filled = {name: arrays.get(name, empty_node) for name in wanted}
    variables = jax.tree.map(jnp.asarray, unflatten_dict(filled, sep="."))
    return Pretrained(task, variables, config["step"], config["data"], config["metrics"])


def _check(arrays: Mapping[str, np.ndarray], task: Task, source: str) -> dict[str, Any]:
    """Refuses arrays that are not those of a model; returns what is wanted, by name."""
    clip = task.clip
    frames = jax.ShapeDtypeStruct((1, clip.in_length, *task.dataset.frame_shape), jnp.float32)
    shapes: Any = jax.eval_shape(
        lambda observed: task.model.init(jax.random.key(0), observed, clip.horizon), frames
    )
    wanted = _flat({"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})})
    named = {name: leaf for name, leaf in wanted.items() if leaf is not empty_node}
    for name in sorted(named.keys() | arrays.keys()):
        if name not in arrays:
            raise ValueError(f"{source}: {name} is missing; the recipe's model has it")
        if name not in named:
            raise ValueError(f"{source}: {name} is unknown to the recipe's model")
        here, there = arrays[name], named[name]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            raise ValueError(
                f"{source}: {name} has shape {here.shape} and type {here.dtype}; expected "
                f"{there.shape} and {there.dtype}, as in the recipe's model"
            )
    if odd := first_not_finite(dict(arrays)):
        raise ValueError(f"{source}: {odd} is not finite; nothing it predicts is")
    return wanted


def _flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = flatten_dict(dict(variables), keep_empty_nodes=True, sep=".")
    return flat


def _without_places(content: Any) -> Any:
    """JSON content with the names of files in place of their paths."""
    if isinstance(content, Mapping):
        return {
            key: Path(value).name
            if key in _PLACES and isinstance(value, str)
            else _without_places(value)
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [_without_places(value) for value in content]
    return content
