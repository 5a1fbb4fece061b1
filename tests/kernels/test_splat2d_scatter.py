"""Small windows, of which the xla implementation draws many at once.

On CPUs it draws chunks of Gaussians, on accelerators tiles.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d import patch, scatter, tiles, xla
from pallas_kernels.splat2d.api import IMPLEMENTATIONS
from pallas_kernels.splat2d.shapes import Case

NAMES = ("frame", "mean", "scale", "rotation", "amplitude")
CASE = Case(3, 13, 11, 2, 403, 5)


@pytest.fixture(scope="module", params=["xla", "tiles"])
def runs(request):
    """The frames and gradients by it and by the definition, in float64, of several chunks.

    Frame 0 has random positions, frame 1 a grid that moved a little, and in frame 2 all Gaussians
    lie in one pixel.
    """
    rng = np.random.default_rng(0)
    mean, scale, rotation, amplitude = CASE.arguments(dtype=np.float64)
    x, y = np.meshgrid(np.arange(CASE.width), np.arange(CASE.height))
    grid = np.resize(np.stack([x, y], -1).reshape(-1, 2), mean.shape[1:])
    mean[1] = grid + rng.normal(scale=0.7, size=grid.shape)
    mean[2] = rng.uniform(4, 5, size=grid.shape)

    def run(implementation):
        def both(cotangent, *arrays):
            def draw(*arrays):
                return splat2d(*arrays, **CASE.options, implementation=implementation)

            out, pull = jax.vjp(draw, *arrays)
            return out, *pull(cotangent)

        arrays = CASE.cotangent(dtype=np.float64), mean, scale, rotation, amplitude
        return [np.asarray(x) for x in jax.jit(both)(*map(jnp.asarray, arrays))]

    with pytest.MonkeyPatch.context() as patched, jax.enable_x64(True):
        patched.setattr(scatter, "CHUNK", 2**12)
        patched.setattr(tiles, "VALUES", 2**14)
        by_tiles = xla.splat_with(tiles.forward, tiles.moments)
        patched.setitem(IMPLEMENTATIONS, "tiles", by_tiles)
        return run(request.param), run("reference")


@pytest.mark.parametrize("frame", range(3), ids=["random", "grid", "clump"])
def test_wherever_the_gaussians_lie(runs, frame):
    for what, got, want in zip(NAMES, *runs, strict=True):
        np.testing.assert_allclose(got[frame], want[frame], rtol=1e-10, atol=1e-11, err_msg=what)


def test_which_windows_are_small():
    def small(window, sampling="exact"):
        return patch.Geometry(64, 64, window, sampling).small

    assert small(1)
    assert small(5)
    assert not small(7)
    assert not small(None)
    assert not small(5, "bilinear")
