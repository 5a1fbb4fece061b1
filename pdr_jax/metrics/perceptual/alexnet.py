"""AlexNet's five convolutions: their arrays in PyTorch's files, and the layers of the distances."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

Params = Mapping[str, Array]
"""Of `parameters`: kernel0 (h, w, in, out), bias0 (out,), weight0 (out,), kernel1, ..."""

_WIDTHS = (64, 192, 384, 256, 256)
_KERNELS = (11, 5, 3, 3, 3)
_PADDINGS = (2, 2, 1, 1, 1)


def trunk_arrays(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of the convolutions' arrays, OIHW; `names` are their modules' paths in PyTorch."""
    arrays: dict[str, tuple[int, ...]] = {}
    for (cin, cout), name, k in zip(pairwise((3, *_WIDTHS)), names, _KERNELS, strict=True):
        arrays[f"{name}.weight"] = (cout, cin, k, k)
        arrays[f"{name}.bias"] = (cout,)
    return arrays


def head_arrays() -> dict[str, tuple[int, ...]]:
    """Shapes of the trained weights of each layer's channels."""
    return {f"lin{layer}.model.1.weight": (1, width, 1, 1) for layer, width in enumerate(_WIDTHS)}


def parameters(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Params:
    """PyTorch's arrays, float32, in the layout of `Params`."""
    params = {}
    for layer, name in enumerate(names):
        params[f"kernel{layer}"] = arrays[f"{name}.weight"].transpose(2, 3, 1, 0)
        params[f"bias{layer}"] = arrays[f"{name}.bias"]
        params[f"weight{layer}"] = arrays[f"lin{layer}.model.1.weight"].reshape(-1)
    return {name: jnp.asarray(array, jnp.float32) for name, array in params.items()}


def convolve(
    params: Params, layer: int, x: Float[Array, "N H W C"], *, stride: int = 1
) -> Float[Array, "N h w out"]:
    """The convolution of a layer."""
    padding = _PADDINGS[layer]
    y = jax.lax.conv_general_dilated(
        x,
        params[f"kernel{layer}"],
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=jax.lax.Precision.HIGHEST,
    )
    return y + params[f"bias{layer}"].reshape(1, 1, 1, -1)


def max_pool(x: Float[Array, "N H W C"], *, stride: int = 1) -> Float[Array, "N h w C"]:
    """Largest of 3x3 pixels, without padding."""
    for axis in (1, 2):
        size = x.shape[axis]
        shifts = [jax.lax.slice_in_dim(x, k, size - 2 + k, stride, axis) for k in range(3)]
        x = jnp.maximum(jnp.maximum(shifts[0], shifts[1]), shifts[2])
    return x
