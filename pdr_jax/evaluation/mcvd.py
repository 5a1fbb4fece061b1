"""The protocol of MCVD (Voleti et al., NeurIPS 2022), by which diffusion models are compared.

What its code does (voletiv/mcvd-pytorch at 451da2e, MIT), for KTH at 64x64:

* Frames: 10 are observed, and 5 are drawn at a time until there are 30 or 40 (configs/kth64_big.yml
  and example_scripts/final/sampling_scripts.sh). How a model gets to its horizon does not matter
  to the figures; MCVD's tables list horizons apart.
* Clips: 256 windows of persons 21 to 25, one frame apart (datasets/kth.py, datasets/__init__.py):
  `split="mcvd"` of the data set kth.
* Samples: `preds_per_test` of each clip, 10 in example_scripts/final/base_1f_vidgen.sh; papers that
  follow it say how many they drew.
* Errors are of a clip, not of a frame (runners/ncsn_runner.py, video_gen): MSE of all its frames in
  [0, 1]; PSNR is of this MSE; SSIM (11x11 Gaussian) is of 8-bit frames, LPIPS (AlexNet) of 8-bit
  frames enlarged to 128x128, both averaged over its frames.
* Best of n: each metric takes the best sample of each clip by this metric alone, then the mean over
  clips. FVD is of observed and predicted frames together, grey repeated to RGB, of all samples
  against every true clip once (models/fvd/fvd.py: bilinear to 224x224, [-1, 1], 400 logits).

These figures have names of their own: of an OpenSTL figure, the PSNR is the mean over frames, which
is higher. Of a point prediction n is 1.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax import metrics

Frames = Float[Array, "B T H W C"]

SMALLEST = 11
"""Pixels of a side, for the window of the SSIM."""
_LPIPS_SIDE = 128


def check(frame_shape: tuple[int, int, int]) -> None:
    """Raises ValueError unless frames (H, W, C) are grey and large enough for the SSIM."""
    if min(frame_shape[:2]) < SMALLEST or frame_shape[2] != 1:
        raise ValueError(
            f"protocol='mcvd': frames are {' x '.join(map(str, frame_shape))}; expected grey ones "
            f"of {SMALLEST} x {SMALLEST} x 1 or more, such as kth's"
        )


def frame_metrics(lpips: metrics.FrameMetric | None = None) -> dict[str, metrics.FrameMetric]:
    """What `Evaluator` measures of each frame, as its `extra`: of these the figures are made.

    Args:
      lpips: of `perceptual.load_lpips_alex`; None leaves LPIPS out.
    """
    found: dict[str, metrics.FrameMetric] = {"mse_mcvd": mse, "ssim_mcvd": ssim}
    if lpips is not None:
        found["lpips_mcvd"] = jax.tree_util.Partial(_enlarged_lpips, lpips)
    return found


def figures(by_clip: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The best sample of each clip, averaged over clips.

    Args:
      by_clip: means over the frames of every sample of every clip, (clips, n), by the names of
        `frame_metrics`.

    Returns:
      "mse_mcvd", "psnr_mcvd" in dB, "ssim_mcvd" and, if it was measured, "lpips_mcvd".
    """
    error = by_clip["mse_mcvd"]
    with np.errstate(divide="ignore"):
        found = {"mse_mcvd": error.min(1), "psnr_mcvd": (-10 * np.log10(error)).max(1)}
    found["ssim_mcvd"] = by_clip["ssim_mcvd"].max(1)
    if "lpips_mcvd" in by_clip:
        found["lpips_mcvd"] = by_clip["lpips_mcvd"].min(1)
    return {name: float(values.mean()) for name, values in found.items()}


def mse(prediction: Frames, target: Frames) -> Float[Array, "B T"]:
    """Squared error of frames in [0, 1], averaged over pixels."""
    return metrics.mse(prediction, target, spatial_norm=True)


def ssim(prediction: Frames, target: Frames) -> Float[Array, "B T"]:
    """SSIM of 8-bit frames: 11x11 Gaussian window, sigma 1.5, borders left out."""
    return metrics.ssim_gaussian(eight_bit(prediction), eight_bit(target))


def _enlarged_lpips(
    lpips: metrics.FrameMetric, prediction: Frames, target: Frames
) -> Float[Array, "B T"]:
    """LPIPS of 8-bit frames, enlarged bilinearly to 128x128 and rounded to 8 bits again."""

    def enlarged(clip: Frames) -> Array:
        shape = (*clip.shape[:2], _LPIPS_SIDE, _LPIPS_SIDE, clip.shape[-1])
        return jnp.round(255 * jax.image.resize(eight_bit(clip), shape, "bilinear")) / 255

    return lpips(enlarged(prediction), enlarged(target))


def eight_bit(clip: Frames) -> Array:
    """Frames in [0, 1] cut to 256 levels, after MCVD's way to [-1, 1] and back."""
    signed = jax.lax.optimization_barrier(2 * clip - 1)  # XLA may cancel 1 otherwise
    return jnp.floor((signed + 1) / 2 * 255) / 255
