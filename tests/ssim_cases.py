"""Frames and options on which implementations of `ssim` are compared with its definition."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pallas_kernels.ssim import gaussian_window, ssim, uniform_window

SHORT = (gaussian_window(3),) * 2
LOPSIDED = ((0.1, 0.2, 0.7), (0.3, 0.1, 0.1, 0.1, 0.4))


class Case(NamedTuple):
    shape: tuple[int, ...]
    options: dict

    def frames(self, dtype):
        """A smooth truth and noisy frames over the data range, in `dtype`.

        For `signed` similarities, half of the noisy frames is mirrored about the range's low end.
        """
        rng = np.random.default_rng(0)
        y = rng.random(self.shape).cumsum(-3).cumsum(-2)
        y /= y.max()
        x = y + 0.1 * rng.standard_normal(self.shape)
        if self.options.get("signed"):
            x[..., : self.shape[-3] // 2, :, :] *= -1
        low, high = np.broadcast_to(self.options.get("data_range", (0.0, 1.0)), 2)
        low = 0.0 if low == high else low
        return [jnp.asarray(low + (high - low) * z, dtype) for z in (x, y)]

    def values(self, x, y, implementation):
        """SSIM of each frame and the gradients, for cotangents of different sizes."""

        def similarity(x, y):
            return ssim(x, y, implementation=implementation, **self.options)

        def run(x, y):
            values, pull = jax.vjp(similarity, x, y)
            return values, *pull(jnp.arange(1, values.size + 1, dtype=values.dtype) / values.size)

        return run(x, y)


CASES = {
    "eleven taps": Case((2, 15, 14, 2), {}),
    "lopsided": Case(
        (2, 8, 9, 3),
        {"windows": LOPSIDED, "padding": "same", "data_range": 255.0, "signed": True},
    ),
    "smaller than the window": Case(
        (2, 4, 3, 5), {"windows": (gaussian_window(5), uniform_window(1)), "padding": "same"}
    ),
    "kelvin, in pieces": Case((1, 40, 17, 2), {"windows": SHORT, "data_range": (280.0, 280.5)}),
    "uniform, around zero": Case(
        (2, 9, 8, 1),
        {
            "windows": (uniform_window(3),) * 2,
            "sample_covariance": True,
            "data_range": (-3.0, 3.0),
            "signed": True,
        },
    ),
    "one pixel": Case((3, 1, 1, 2), {"windows": (gaussian_window(1), gaussian_window(1))}),
}


def in_float64(case, x, y):
    """`case.values` of the definition, in float64."""
    with jax.enable_x64(True):
        wide = [jnp.asarray(np.asarray(z, np.float64)) for z in (x, y)]
        return [
            np.asarray(z) for z in jax.jit(partial(case.values, implementation="reference"))(*wide)
        ]


def assert_close(actual, expected, bound):
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(np.float64(a), b, rtol=0, atol=bound * np.abs(b).max() + 1e-12)
