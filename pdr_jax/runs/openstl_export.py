"""Exports a run's backbone as a state dict that the public PyTorch code loads."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pdr_jax import torch_files
from pdr_jax.backbones import Backbone
from pdr_jax.files import read_json, write_json
from pdr_jax.interop.convert import to_openstl
from pdr_jax.interop.faithful import faithful
from pdr_jax.interop.family import family_of, naming
from pdr_jax.runs.folder import recorded_dataset
from pdr_jax.runs.warm_start import read_origin
from pdr_jax.task import open_dataset


def write(run: Path, out: Path, *, backbone_only: bool = False) -> dict[str, Any]:
    """Writes what `export_run` returns: the state dict, and beside it the configuration as .json.

    Args:
      run: the run folder.
      out: the file, .pth or .pt, or .npz (needs no PyTorch). Neither it nor its .json may exist.
      backbone_only: see `export_run`.

    Returns:
      The configuration.

    Raises:
      FileExistsError: `out` exists, or the other file with another content.
      FileNotFoundError: the folder of `out` does not exist, or as `export_run`.
      ImportError: PyTorch is not installed, and the file is no .npz.
      ValueError: `out` has another ending, or as `export_run`.
    """
    beside = out.with_suffix(".json")
    torch_files.check_target(out)
    taken = FileExistsError(f"{beside} is there already: choose another name than {out}")
    begun = _configuration(beside)  # of an export that was killed
    if beside.exists() and begun is None:
        raise taken
    state_dict, config = export_run(run, backbone_only=backbone_only)
    if begun is not None and begun != json.loads(json.dumps(config)):
        raise taken
    write_json(beside, config)
    try:
        torch_files.save(out, state_dict)
    except BaseException:
        if begun is None:
            beside.unlink()
        raise
    return config


def _configuration(path: Path) -> dict[str, Any] | None:
    """The configuration that an export wrote to a file; None if it is no such file."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return None
    return found if "in_shape" in found else None


def export_run(
    run: Path, *, backbone_only: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The state dict and the configuration of a run's backbone, in the public PyTorch code's terms.

    Args:
      run: the run folder; its best checkpoint is exported.
      backbone_only: whether to leave out the adapter of a run that has one.

    Returns:
      The state dict, for `load_state_dict(strict=True)`, and the settings under OpenSTL's names.

    Raises:
      FileNotFoundError: `run` is no run folder, or has no checkpoint.
      ValueError: the public PyTorch code has no such model, or its model would compute something
        else.
    """
    origin = read_origin(run)
    recipe = origin.recipe
    if recipe.adapter != "none" and not backbone_only:
        raise ValueError(
            f"adapter={recipe.adapter!r}: the public PyTorch code has no adapter. "
            "backbone_only leaves it out; the exported backbone predicts the coarse frames"
        )
    name, kind = family_of(recipe.backbone)
    dataset = recorded_dataset(run) or open_dataset(recipe)
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
    config = {
        **naming(name),
        "in_shape": [length, channels, height, width],
        "pre_seq_length": length,
        "aft_seq_length": recipe.out_length,
        "total_length": length + recipe.out_length,
        **{k: v for k, v in kind.hyperparameters(module).items() if k != "faithful"},
        **kind.config(module),
    }
    return to_openstl(module, kind, variables), config
