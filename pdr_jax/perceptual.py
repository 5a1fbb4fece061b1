"""ST-LPIPS: a learned perceptual distance that tolerates small shifts.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022: LPIPS with an AlexNet
whose strides are anti-aliased (blur [1, 2, 1] / 4 on each axis, after the operation, with
reflection padding), trained for this distance. It is NOT LPIPS (Zhang et al. 2018) and its values
do not compare with published LPIPS figures: report it as "st_lpips_alex".

The trained arrays come with the package stlpips-pytorch 0.0.2; nothing is downloaded here.
"""

import os
from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

Params = Mapping[str, jax.Array]

# LPIPS' channel statistics, for images in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)

_WIDTHS = (64, 192, 384, 256, 256)
_KERNELS = (11, 5, 3, 3, 3)
_PADDINGS = (2, 2, 1, 1, 1)
# Position of each convolution in the PyTorch module, hence in the names of its arrays.
_CONVOLUTIONS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")

_SMALLEST = 21
"""Pixels; below, a reflection is wider than the feature map it pads."""

_CHUNK_PIXELS = 2**15
"""Pixels of each clip that go through the network at a time: more was no faster on CPU."""


def expected_arrays() -> dict[str, tuple[int, ...]]:
    """Names and shapes that `load_st_lpips_alex` reads: PyTorch's state dict, convolutions OIHW."""
    arrays: dict[str, tuple[int, ...]] = {}
    for (cin, cout), name, k in zip(pairwise((3, *_WIDTHS)), _CONVOLUTIONS, _KERNELS, strict=True):
        arrays[f"net.{name}.weight"] = (cout, cin, k, k)
        arrays[f"net.{name}.bias"] = (cout,)
    for layer, width in enumerate(_WIDTHS):
        arrays[f"lin{layer}.model.1.weight"] = (1, width, 1, 1)
    return arrays


def load_st_lpips_alex(path: str | os.PathLike[str]) -> Partial:
    """Reads trained weights; returns the metric, a function of two arrays of frames.

    ```
    st_lpips = load_st_lpips_alex("st_lpips_alex.npz")
    Evaluator(("mse", "ssim"), extra={"st_lpips_alex": st_lpips})
    ```

    Args:
      path: .npz with the arrays of `expected_arrays` (others are ignored: the blur and the channel
        statistics are constants of the architecture).

    Raises:
      FileNotFoundError: no such file.
      ValueError: an array is missing or has another shape.
    """
    expected = expected_arrays()
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in expected if name not in file.files]
        if missing:
            raise ValueError(
                f"{os.fspath(path)} lacks {', '.join(missing)}; expected the ST-LPIPS (alex) state "
                f"dict as .npz: {', '.join(f'{name} {shape}' for name, shape in expected.items())}"
            )
        arrays = {name: np.asarray(file[name], np.float32) for name in expected}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"{os.fspath(path)}: {name} has shape {arrays[name].shape}; expected {shape}"
            )
    params: dict[str, jax.Array] = {}
    for layer, name in enumerate(_CONVOLUTIONS):
        kernel = arrays[f"net.{name}.weight"].transpose(2, 3, 1, 0)
        params[f"kernel{layer}"] = jnp.asarray(kernel)
        params[f"bias{layer}"] = jnp.asarray(arrays[f"net.{name}.bias"])
        params[f"weight{layer}"] = jnp.asarray(arrays[f"lin{layer}.model.1.weight"].reshape(-1))
    return Partial(jax.jit(st_lpips), params)


def st_lpips(params: Params, prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Distance of each pair of frames; 0 (up to rounding) for equal frames, symmetric.

    Args:
      params: for layer 0..4 `kernel` (h, w, in, out), `bias` (out,) and the calibration `weight`
        (out,), as `load_st_lpips_alex` makes them.
      prediction: (..., H, W, C) in [0, 1], C = 1 (grey, repeated) or 3 (RGB), at least 21x21.
      target: like prediction.

    Returns:
      (...) float32.

    Raises:
      ValueError: unequal shapes, C other than 1 or 3, frames that are too small.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape}, target {target.shape}; expected equal shapes"
        )
    height, width, channels = prediction.shape[-3:]
    if channels not in (1, 3):
        raise ValueError(f"frames have {channels} channels; ST-LPIPS takes 1 (grey) or 3 (RGB)")
    if min(height, width) < _SMALLEST:
        raise ValueError(
            f"frames are {height}x{width}; ST-LPIPS needs at least {_SMALLEST}x{_SMALLEST} pixels"
        )
    pairs = jnp.stack([prediction, target]).astype(jnp.float32)
    pairs = jnp.moveaxis(pairs.reshape(2, -1, height, width, channels), 0, 1)
    count = len(pairs)
    if count == 0:
        return jnp.zeros(prediction.shape[:-3])
    # Equal chunks, so that one program serves all: a long test clip must not fill the memory.
    chunks = -(-count * height * width // _CHUNK_PIXELS)
    size = -(-count // chunks)
    pairs = jnp.pad(pairs, ((0, chunks * size - count), *[(0, 0)] * 4))
    distances = jax.lax.map(
        partial(_distances, params), pairs.reshape(chunks, size, *pairs.shape[1:])
    )
    return distances.reshape(-1)[:count].reshape(prediction.shape[:-3])


def _distances(params: Params, pairs: jax.Array) -> jax.Array:
    """(N, 2, H, W, C) in [0, 1] -> (N,)."""
    count, _, height, width, _ = pairs.shape
    rgb = jnp.broadcast_to(pairs, (count, 2, height, width, 3)).reshape(-1, height, width, 3)
    shift, scale = (jnp.asarray(a).reshape(1, 1, 1, 3) for a in (_SHIFT, _SCALE))
    total = jnp.zeros(count)
    for layer, features in enumerate(_alexnet(params, (2 * rgb - 1 - shift) / scale)):
        # Each pixel's feature vector to unit length; 1e-20 keeps a zero vector differentiable.
        unit = features / jnp.sqrt((features**2).sum(-1, keepdims=True) + 1e-20)
        unit = unit.reshape(count, 2, *unit.shape[1:])
        total += ((unit[:, 0] - unit[:, 1]) ** 2).mean((1, 2)) @ params[f"weight{layer}"]
    return total


def _alexnet(params: Params, x: jax.Array) -> list[jax.Array]:
    """The five activations of the anti-aliased AlexNet for images (N, H, W, 3)."""
    activations = []
    for layer, padding in enumerate(_PADDINGS):
        if layer in (1, 2):
            x = _blur_and_halve(_max_pool(x))
        kernel, bias = params[f"kernel{layer}"], params[f"bias{layer}"]
        x = jax.lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(1, 1),
            padding=[(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        ) + bias.reshape(1, 1, 1, -1)
        if layer == 0:
            x = _blur_and_halve(x)
        x = jax.nn.relu(x)
        activations.append(x)
    return activations


def _max_pool(x: jax.Array) -> jax.Array:
    """Largest of 3x3 pixels, stride 1, no padding."""
    x = jnp.maximum(jnp.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return jnp.maximum(jnp.maximum(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])


def _blur_and_halve(x: jax.Array) -> jax.Array:
    """[1, 2, 1] / 4 along both axes at every other pixel, 2 pixels reflected at each edge."""
    x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    x = 0.25 * (x[:, :-2:2] + x[:, 2::2]) + 0.5 * x[:, 1:-1:2]
    return 0.25 * (x[:, :, :-2:2] + x[:, :, 2::2]) + 0.5 * x[:, :, 1:-1:2]
