"""LPIPS, version 0.1 with AlexNet, as OpenSTL reports it.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
OpenSTL's convention: frames in [0, 1] are scaled to [-1, 1], grey is repeated to three channels,
and the figure is the mean over frames. OpenSTL's Human3.6M frames are BGR. Here frames are RGB
unless the data set says otherwise, so figures on Human3.6M differ by the order of channels.
"""

import os

import jax
from jax import Array
from jax.tree_util import Partial
from jaxtyping import Float

from pdr_jax.arrays import on_pairs
from pdr_jax.metrics.perceptual import alexnet
from pdr_jax.metrics.perceptual.distance import Network, distance
from pdr_jax.metrics.perceptual.weights import read

# The convolutions' paths in torchvision's module.
CONVOLUTIONS = tuple(f"features.{index}" for index in (0, 3, 6, 8, 10))

_TRUNK_RECIPE = (
    "The trunk is torchvision's AlexNet trained on ImageNet; where torchvision is installed, it is "
    "downloaded and converted by: "
    'state = torchvision.models.alexnet(weights="IMAGENET1K_V1").state_dict(); '
    'numpy.savez("alexnet.npz", **{name: array.numpy() for name, array in state.items() '
    'if "features" in name})'
)
_HEADS_RECIPE = (
    "The heads are the file weights/v0.1/alex.pth of the Python package lpips; where both are "
    "installed, it is converted by: "
    'state = torch.load(lpips.__path__[0] + "/weights/v0.1/alex.pth", weights_only=True); '
    'numpy.savez("lpips_alex.npz", **{name: array.numpy() for name, array in state.items()})'
)


def load_lpips_alex(trunk: str | os.PathLike[str], heads: str | os.PathLike[str]) -> Partial:
    """Reads trained weights and returns the metric, a function of predicted and true frames.

    ```
    lpips = load_lpips_alex(trunk="alexnet.npz", heads="lpips_alex.npz")
    Evaluator(("mse", "ssim"), extra={"lpips": lpips})
    ```

    Args:
      trunk: torchvision's AlexNet: its checkpoint (.pth, needs PyTorch), or an .npz of the same
        arrays, "features.0.weight" ... "features.10.bias".
      heads: the trained weights of the channels: alex.pth of the package lpips 0.1 (needs PyTorch),
        or an .npz of the same arrays, "lin0.model.1.weight" ... "lin4.model.1.weight".

    Raises:
      FileNotFoundError: no such file; the message says how to get and convert it.
      ImportError: a .pth where PyTorch is not installed; the message says how to convert it.
      ValueError: an array is missing or has another shape.
    """
    arrays = {
        **read(trunk, alexnet.trunk_arrays(CONVOLUTIONS), _TRUNK_RECIPE),
        **read(heads, alexnet.head_arrays(), _HEADS_RECIPE),
    }
    return Partial(jax.jit(lpips), alexnet.parameters(arrays, CONVOLUTIONS))


@on_pairs
def lpips(
    params: alexnet.Params,
    prediction: Float[Array, "*B H W C"],
    target: Float[Array, "*B H W C"],
) -> Float[Array, "*B"]:
    """LPIPS of each pair of frames in [0, 1]; arguments and errors as in `distance`."""
    return distance(_NETWORK, params, prediction, target)


def _activations(params: alexnet.Params, x: Array) -> list[Array]:
    activations = []
    for layer in range(5):
        if layer in (1, 2):
            x = alexnet.max_pool(x, stride=2)
        x = jax.nn.relu(alexnet.convolve(params, layer, x, stride=4 if layer == 0 else 1))
        activations.append(x)
    return activations


_NETWORK = Network("LPIPS", _activations, smallest=31)
