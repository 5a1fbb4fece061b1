"""From a run folder to what the public PyTorch code loads."""

from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax import backbones, torch_files
from pdr_jax.backbones import Backbone
from pdr_jax.files import write_json
from pdr_jax.interop.convert import to_openstl
from pdr_jax.interop.faithful import faithful
from pdr_jax.interop.family import family_of, naming
from pdr_jax.runs.folder import recorded_dataset
from pdr_jax.runs.warm_start import read_origin
from pdr_jax.task import open_dataset


def write(folder: Path, out: Path, *, backbone_only: bool = False) -> dict[str, Any]:
    """Writes what `export_run` makes: the state dict, and beside it the configuration as .json.

    Args:
      folder: the run.
      out: the file, .pth or .pt, or .npz without PyTorch; must not exist, nor its .json.
      backbone_only: see `export_run`.

    Returns:
      The configuration.

    Raises:
      FileExistsError: one of the two files is there.
      FileNotFoundError: there is no folder for them, or see `export_run`.
      ImportError: PyTorch is not installed, and the file is no .npz.
      ValueError: `out` has another ending, or see `export_run`.
    """
    beside = out.with_suffix(".json")
    torch_files.check_target(out)
    if beside.exists():
        raise FileExistsError(f"{beside} is there already: choose another name than {out}")
    state_dict, config = export_run(folder, backbone_only=backbone_only)
    torch_files.save(out, state_dict)
    write_json(beside, config)
    return config


def export_run(
    folder: Path, *, backbone_only: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The state dict and the configuration of a run's backbone, in the public PyTorch code's terms.

    Args:
      folder: the run; its best checkpoint is taken.
      backbone_only: whether to leave out the adapter of a run that has one.

    Returns:
      What `load_state_dict(strict=True)` takes, and OpenSTL's names of the settings.

    Raises:
      FileNotFoundError: `folder` is no run folder, or has no checkpoint.
      ValueError: PyTorch has no such model, or one that would compute something else.
    """
    origin = read_origin(folder)
    recipe = origin.recipe
    if recipe.adapter != "none" and not backbone_only:
        raise ValueError(
            f"adapter={recipe.adapter!r}: the public PyTorch code has none. Leave it out with "
            "backbone_only; what remains predicts the coarse frames"
        )
    name, kind = family_of(recipe.backbone)
    dataset = recorded_dataset(folder) or open_dataset(recipe)
    module = recipe.build(dataset.frame_shape).backbone
    assert isinstance(module, Backbone)
    variables = {
        collection: parts["backbone"]
        for collection, parts in origin.variables.items()
        if "backbone" in parts
    }
    if not getattr(module, "faithful", True):
        module, variables = faithful(module, variables)
    length, height, width, channels = module.in_shape
    settings = {field: getattr(module, field) for field in backbones.hyperparameters(kind.backbone)}
    config = {
        **naming(name),
        "in_shape": [length, channels, height, width],
        "pre_seq_length": length,
        "aft_seq_length": recipe.out_length,
        "total_length": length + recipe.out_length,
        **{k: v for k, v in settings.items() if k not in ("dtype", "faithful") and v is not None},
        **kind.config(module),
    }
    return to_openstl(module, kind, variables), config
