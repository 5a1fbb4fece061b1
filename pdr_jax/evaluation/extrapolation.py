"""Lagrangian persistence: the last frame carried on by the optical flow of the observed ones.

The baseline of nowcasting (Germann and Zawadzki, "Scale-Dependence of the Predictability of
Precipitation from Continental Radar Images. Part I", Monthly Weather Review 2002): rain keeps its
amount along its path, and its paths stay. The motion field is constant in time. Frame n is taken
from the last observed one by a backward semi-Lagrangian scheme: the path that ends in a pixel is
followed backwards a step at a time, each by the motion at the middle of the step.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from pdr_jax.evaluation.predictors import Predict
from pdr_jax.metrics.warping import Flow, dis_flow
from pdr_jax.sharding import on_host
from pdr_jax.warp import warp

PAIRS = 3
"""Of the last observed frames, the neighbours whose flows are averaged."""


def extrapolator(data_range: tuple[float, float], flow: Flow | None = None) -> Predict:
    """Lagrangian persistence as a predictor.

    Nothing is known of what comes in from outside: there the border of the last frame is repeated.
    Missing pixels are what the model sees in their place, and are carried on as such. With one
    observed frame there is no motion, and the prediction is persistence.

    Args:
      data_range: of the frames, in model units; the flow sees it as [0, 1].
      flow: default OpenCV's DIS, which needs frames of at least 12x12 pixels.

    Raises:
      ImportError: OpenCV is not installed, and there is no other flow.
    """
    flow = flow or dis_flow()
    low, high = data_range

    def predict(observed: Array, horizon: int) -> Array:
        unit = (on_host(observed[:, -PAIRS - 1 :]) - low) / (high - low)
        batch, length, height, width, _ = unit.shape
        motion = np.zeros((batch, height, width, 2), np.float32)
        if length > 1:
            before, after = (
                part.reshape(-1, *unit.shape[2:]) for part in (unit[:, :-1], unit[:, 1:])
            )
            motion = flow(before, after).reshape(batch, length - 1, height, width, 2).mean(1)
        # The same in every process, it lies as the frames do.
        return advect(observed[:, -1], jax.device_put(motion, observed.sharding), horizon)

    return predict


@functools.partial(jax.jit, static_argnames="horizon")
def advect(
    frame: Float[Array, "B H W C"], motion: Float[Array, "B H W 2"], horizon: int
) -> Float[Array, "B T H W C"]:
    """The frames that follow when pixels move by (dx, dy) a frame, interpolated bilinearly.

    Args:
      frame: the last one known.
      motion: at each place, in pixels a frame.
      horizon: T.
    """

    def back(path: Array, _: None) -> tuple[Array, Array]:
        # From where a pixel is now to where it was a frame ago, by the motion half a step back.
        step = warp(motion, -path)
        step = warp(motion, -(path + step / 2))
        path = path + step
        return path, warp(frame, -path)

    _, frames = jax.lax.scan(back, jnp.zeros_like(motion), length=horizon)
    return frames.swapaxes(0, 1)
