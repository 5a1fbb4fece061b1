"""Trained weights: the authors' files, and torchvision's.

The arrays of both are the same; torchvision gave them other names.
"""

import functools
import os
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from pdr_jax.metrics.perceptual.weights import checked, load
from pdr_jax.metrics.raft.model import RAFT, SIZES, Size

_RECIPE = (
    "RAFT's trained weights are a file of the authors' models.zip (princeton-vl/RAFT, "
    "download_models.sh), such as raft-things.pth or raft-small.pth, or of torchvision's "
    "raft_large and raft_small. An .npz of the same arrays needs no PyTorch; where it is "
    'installed: state = torch.load("raft-things.pth", map_location="cpu", weights_only=True); '
    'numpy.savez("raft-things.npz", **{name: array.numpy() for name, array in state.items()})'
)

# Of parameters in PyTorch.
_ENDS = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}

# From the authors' names to torchvision's, one after the other.
_TORCHVISION = (
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"(_encoder\.layer\d\.\d\.)conv(\d)", r"\1convnormrelu\2.0"),
    (r"(_encoder\.layer\d\.\d\.)norm3", r"\1downsample.1"),
    (r"(_encoder\.layer\d\.\d\.)norm(\d)", r"\1convnormrelu\2.1"),
    (r"_encoder\.conv1", "_encoder.convnormrelu.0"),
    (r"_encoder\.norm1", "_encoder.convnormrelu.1"),
    (r"_encoder\.conv2", "_encoder.conv"),
    (r"\.encoder\.convc(\d)", r".motion_encoder.convcorr\1.0"),
    (r"\.encoder\.convf(\d)", r".motion_encoder.convflow\1.0"),
    (r"\.encoder\.conv\b", ".motion_encoder.conv.0"),
    (r"\.gru\.conv([zrq])2", r".recurrent_block.convgru2.conv\1"),
    (r"\.gru\.conv([zrq])1?", r".recurrent_block.convgru1.conv\1"),
    (r"^update_block\.mask\.0", "mask_predictor.convrelu.0"),
    (r"^update_block\.mask\.2", "mask_predictor.conv"),
)

# Counters, and norms that the authors' files hold twice.
_IGNORED = re.compile(r"num_batches_tracked$|^cnet\.layer\d\.0\.downsample\.1\.")


def read(path: str | os.PathLike[str]) -> tuple[Size, dict[str, Any]]:
    """The size of the model in a file, and its variables.

    Args:
      path: a state dict saved by PyTorch, or an .npz of its arrays, of the full or the small model;
        its names may begin with "module.".

    Raises:
      FileNotFoundError: no such file; the message says where there is one.
      ImportError: a file of PyTorch, which is not installed or too old to read it safely.
      ValueError: the file cannot be read, or an array is missing, is not RAFT's, has another
        shape, or is not finite.
    """
    path = Path(path)
    loaded = {str(name).removeprefix("module."): a for name, a in load(path, _RECIPE).items()}
    arrays = {name: array for name, array in loaded.items() if not _IGNORED.search(name)}
    full = any("convz2" in name or "convgru2" in name for name in arrays)
    size = SIZES["full" if full else "small"]
    torchvision = any(name.startswith("feature_encoder.") for name in arrays)
    shapes = _shapes(size)
    names = {key: _name(key, torchvision) for key in shapes}
    expected = {names[key]: shape for key, shape in shapes.items()}
    found = checked(path, arrays, expected, _RECIPE)
    if strange := [name for name in arrays if name not in expected]:
        raise ValueError(
            f"{path} holds {', '.join(strange[:3])}, which RAFT does not have; expected RAFT's "
            f"weights and no others. {_RECIPE}"
        )
    variables = {
        key: jnp.asarray(
            found[name].transpose(2, 3, 1, 0) if found[name].ndim == 4 else found[name]
        )
        for key, name in names.items()
    }
    return size, traverse_util.unflatten_dict(variables)


@functools.cache
def _shapes(size: Size) -> dict[tuple[str, ...], tuple[int, ...]]:
    """PyTorch's shape of each variable: of a kernel OIHW, which is HWIO here."""
    frames = jax.ShapeDtypeStruct((1, 128, 128, 3), np.float32)
    variables = jax.eval_shape(RAFT(size, iterations=1).init, jax.random.key(0), frames, frames)
    shapes = {key: leaf.shape for key, leaf in traverse_util.flatten_dict(variables).items()}
    return {
        key: (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape
        for key, shape in shapes.items()
    }


def _name(key: tuple[str, ...], torchvision: bool) -> str:
    name = ".".join([*key[1:-1], _ENDS[key[-1]]])
    if torchvision:
        for pattern, renamed in _TORCHVISION:
            name = re.sub(pattern, renamed, name)
    return name
