"""The README.md of a published model: the head that Hugging Face reads, and what users ask."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pdr_jax import backbones
from pdr_jax.evaluation.prediction import stored_range
from pdr_jax.task import Task

_LINK = "https://arxiv.org/abs/2606.31050"


def model_card(
    name: str, task: Task, arrays: Mapping[str, np.ndarray], config: Mapping[str, Any]
) -> str:
    """The text of README.md.

    Args:
      name: of the model.
      task: recipe, model and data.
      arrays: the variables by name.
      config: the content of config.json.
    """
    recipe, dataset, about = task.recipe, task.dataset, config["data"]
    height, width, channels = dataset.frame_shape
    size = f"{height}, {width}, {channels}"
    low, high = stored_range(dataset)
    known = backbones.card(recipe.backbone)
    parameters = sum(value.size for key, value in arrays.items() if key.startswith("params."))
    adapter = "none" if recipe.adapter == "none" else f"{recipe.adapter} ([PDR]({_LINK}))"
    offset, scale = (
        np.asarray(part).tolist() for part in (dataset.units.offset, dataset.units.scale)
    )
    rows = {
        "frames in": f"(N, {recipe.in_length}, {size}), stored units, {low:g} to {high:g}",
        "frames out": f"(N, horizon, {size}), likewise; horizon {recipe.out_length} in training",
        "model units": f"(stored - offset) / scale, offset {offset}, scale {scale}",
        "backbone": f"{recipe.backbone}: [{known.title}]({known.link}), {known.venue}",
        "adapter": adapter,
        "parameters": f"{parameters:,}",
        "data": f"{dataset.name} {dataset.config}",
        "training": f"step {config['step']}, {about.get('training_clips', 'unknown')} clips",
        "checkpoint": f"best by {about.get('chosen_on', 'unknown')}",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    parts = [
        _head(name, task, config),
        f"# {name}\n\n{recipe.label}, a video predictor of pdr-jax.",
        f"|  |  |\n| --- | --- |\n{table}",
        dataset.note,
        _USE,
        _program(config["program"]),
        _figures(config["metrics"]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_USE = """\
## Use

With pdr-jax, in this folder:

```python
import numpy as np
import pdr_jax

pretrained = pdr_jax.from_pretrained(".")
future = pretrained.predict(np.load("frames.npy"))  # horizon=... for another length
```

`pretrained.task.model` is the Flax module, in model units, and `pretrained.variables` are its
variables; `model.safetensors` has them under the same names, joined by dots."""


def _program(program: Mapping[str, Any] | None) -> str:
    if program is None:
        return ""
    return f"""\
Without pdr-jax, with `pip install jax flatbuffers numpy`:

```bash
python predict.py frames.npy future.npy
```

`predictor.stablehlo` is the whole predictor as `jax.export` writes it, for
{_words(program["platforms"])}: (N, T, H, W, C) float32 in stored units to the {program["horizon"]}
frames that follow, float32 in stored units, for any N. It neither rounds nor clips."""


def _head(name: str, task: Task, config: Mapping[str, Any]) -> str:
    """The YAML between two lines of dashes; JSON is YAML, and has its quotes right."""
    fields: dict[str, Any] = {
        "library_name": "pdr-jax",
        "tags": ["video-prediction", "jax", "flax", task.recipe.backbone, task.dataset.name],
    }
    own = _rows(config["metrics"]).get(task.recipe.label, {})
    if own:
        result = {
            "task": {"type": "video-prediction"},
            "dataset": {
                "type": task.dataset.name,
                "name": config["metrics"]["dataset"],
                "split": config["metrics"]["split"],
            },
            "metrics": [{"type": metric, "value": value} for metric, value in own.items()],
        }
        fields["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{field}: {json.dumps(value)}" for field, value in fields.items()]
    return "\n".join(["---", *lines, "# license: yours to choose", "---"])


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = _rows(metrics)
    if not rows:
        return ""
    names = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    lines = [["", *names], ["---", *["---:"] * len(names)]]
    lines += [
        [label, *(f"{row[metric]:.4g}" if metric in row else "" for metric in names)]
        for label, row in rows.items()
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = (
        f"{metrics['dataset']}, {metrics['split']} split, {metrics['horizon']} frames, protocol "
        f"{metrics['protocol']}; errors {metrics['errors']}."
    )
    return f"## Figures\n\n{table}\n\n{said}"


def _rows(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The figures by row and metric; those that are not finite are null, and left out."""
    rows = metrics.get("rows", {})
    return {
        label: {metric: value for metric, value in row.items() if value is not None}
        for label, row in rows.items()
    }


def _words(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
