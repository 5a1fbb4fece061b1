"""ST-LPIPS: a learned perceptual distance that tolerates small shifts.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022: LPIPS with an AlexNet
trained for this distance, whose strides are anti-aliased: a blur of [1, 2, 1] / 4 on each axis,
with reflection padding, follows the operation. Its values do NOT compare with published figures of
LPIPS (Zhang et al. 2018): report them as "st_lpips_alex".
"""

import os

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import Partial
from jaxtyping import Float

from pdr_jax.arrays import on_pairs
from pdr_jax.metrics.perceptual import alexnet
from pdr_jax.metrics.perceptual.distance import Network, activations, check_frames, distance
from pdr_jax.metrics.perceptual.weights import read

# The convolutions' paths in the PyTorch module.
CONVOLUTIONS = tuple(
    f"net.{name}" for name in ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
)

_RECIPE = (
    "The trained arrays come with the Python package stlpips-pytorch 0.0.2; where it is installed, "
    "they are converted by: "
    'state = stlpips_pytorch.stlpips.LPIPS(net="alex", variant="shift_tolerant").state_dict(); '
    'numpy.savez("st_lpips_alex.npz", **{name: array.numpy() for name, array in state.items()})'
)


def expected_arrays() -> dict[str, tuple[int, ...]]:
    """Names and shapes that `load_st_lpips_alex` reads of PyTorch's state dict."""
    return {**alexnet.trunk_arrays(CONVOLUTIONS), **alexnet.head_arrays()}


def load_st_lpips_alex(path: str | os.PathLike[str]) -> Partial:
    """Reads trained weights and returns the metric, a function of predicted and true frames.

    ```
    st_lpips = load_st_lpips_alex("st_lpips_alex.npz")
    Evaluator(("mse", "ssim"), extra={"st_lpips_alex": st_lpips})
    ```

    Args:
      path: .npz with the arrays of `expected_arrays`. Others are ignored: the blur and the channel
        statistics are constants of the architecture.

    Raises:
      FileNotFoundError: no such file; the message says how to get and convert it.
      ValueError: an array is missing or has another shape.
    """
    arrays = read(path, expected_arrays(), _RECIPE)
    return Partial(jax.jit(st_lpips), alexnet.parameters(arrays, CONVOLUTIONS))


@on_pairs
def st_lpips(
    params: alexnet.Params,
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
) -> Float[Array, "*B"]:
    """ST-LPIPS of each pair of frames in [0, 1]; arguments and errors as in `distance`."""
    return distance(_NETWORK, params, prediction, target)


def load_st_lpips_features(path: str | os.PathLike[str]) -> Partial:
    """Reads the same weights for a Fréchet distance between frames, see `metrics.Frechet`.

    A frame's 256 features are the activations of the last layer, averaged over the frame. This is
    to FID what ST-LPIPS is to LPIPS: it needs no other weights than these, and its figures compare
    with no published FID or FVD. Motion does not count.

    Args:
      path: as for `load_st_lpips_alex`, with the same errors.
    """
    arrays = read(path, expected_arrays(), _RECIPE)
    return Partial(_frame_features, alexnet.parameters(arrays, CONVOLUTIONS))


def _frame_features(
    params: alexnet.Params, clips: Float[Array, "B T H W C"]
) -> Float[Array, "B T 256"]:
    """Features of frames in [0, 1], a clip at a time."""
    check_frames(_NETWORK, clips.shape)

    def of_clip(frames: Array) -> Array:
        return activations(_NETWORK, params, frames)[-1].mean((1, 2))

    return jax.lax.map(of_clip, clips)


def _activations(params: alexnet.Params, x: Array) -> list[Array]:
    activations = []
    for layer in range(5):
        if layer in (1, 2):
            x = _blur_and_halve(alexnet.max_pool(x))
        x = alexnet.convolve(params, layer, x)
        if layer == 0:
            x = _blur_and_halve(x)
        x = jax.nn.relu(x)
        activations.append(x)
    return activations


def _blur_and_halve(x: Array) -> Array:
    """Blurs along both axes at every other pixel, with 2 pixels reflected at each edge."""
    x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    x = 0.25 * (x[:, :-2:2] + x[:, 2::2]) + 0.5 * x[:, 1:-1:2]
    return 0.25 * (x[:, :, :-2:2] + x[:, :, 2::2]) + 0.5 * x[:, :, 1:-1:2]


# In smaller frames the reflection is wider than the feature map that it pads.
_NETWORK = Network("ST-LPIPS", _activations, smallest=21)
