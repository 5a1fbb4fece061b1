"""sampling="bilinear" is the published baseline, forward and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d.api import PORTABLE
from pallas_kernels.splat2d.grid_sample import base_grid, grid_sample, paper_to_pixels


def paper_arguments(count=5, channels=2, reach=1.0):
    rng = np.random.default_rng(7)
    return (
        rng.uniform(-reach, reach, (count, 2)),
        rng.uniform(0.2, 0.95, (count, 2)),
        rng.uniform(-3, 3, count),
        rng.normal(size=(count, channels)),
    )


@pytest.mark.parametrize("implementation", PORTABLE)
@pytest.mark.parametrize(
    ("height", "width", "window"),
    [(16, 17, 7), (13, 20, 13)],  # size - window even and odd, and a window as high as the frame
)
def test_equals_the_baseline(implementation, height, width, window):
    with jax.enable_x64(True):
        arrays = [jnp.asarray(x) for x in paper_arguments()]
        cotangent = np.random.default_rng(8).normal(size=(height, width, 2))
        size = {"height": height, "width": width, "window": window}

        def literal(*arrays):
            return grid_sample(*arrays, **size)

        def ours(mu, scale, rotation, amplitude):
            pixels = paper_to_pixels(mu, scale, rotation, **size)
            return splat2d(
                *pixels, amplitude, **size, sampling="bilinear", implementation=implementation
            )

        def both(function):
            @jax.jit
            def run(*arrays):
                out, pull = jax.vjp(function, *arrays)
                return out, *pull(cotangent)

            return run(*arrays)

        names = ("frame", "mu", "scale", "rotation", "amplitude")
        for what, got, want in zip(names, both(ours), both(literal), strict=True):
            assert np.abs(want).max() > 0.01
            np.testing.assert_allclose(got, want, atol=1e-12, rtol=1e-10, err_msg=what)


def test_its_base_grid_form_draws_the_same():
    size = {"height": 13, "width": 20, "window": 9}
    with jax.enable_x64(True):
        arrays = [jnp.asarray(x) for x in paper_arguments(count=9, reach=2.5)]  # some off the frame
        cotangent = np.random.default_rng(8).normal(size=(13, 20, 2))

        def both(function):
            def run(*arrays):
                out, pull = jax.vjp(partial(function, **size), *arrays)
                return out, *pull(cotangent)

            return jax.jit(run)(*arrays)

        for got, want in zip(both(base_grid), both(grid_sample), strict=True):
            assert np.abs(want).max() > 0.01
            np.testing.assert_allclose(got, want, atol=1e-12, rtol=1e-9)


def test_in_pytorch_it_draws_the_same():
    pytest.importorskip("torch")
    from pallas_kernels.splat2d import bench_torch

    arrays = [np.float32(x)[None] for x in paper_arguments()]
    size = {"height": 16, "width": 21, "window": 7}
    cotangent = np.float32(np.random.default_rng(8).normal(size=(1, 16, 21, 2)))
    want, pull = jax.vjp(lambda *frame: grid_sample(*frame, **size), *(x[0] for x in arrays))
    got, gradients = bench_torch.passes([arrays], cotangent, size)["forward+backward"](0)
    np.testing.assert_allclose(got.detach().numpy()[0], want, atol=2e-5)
    for x, y in zip(gradients, pull(cotangent[0]), strict=True):
        np.testing.assert_allclose(x.numpy()[0], y, atol=1e-4 * np.abs(y).max())


def test_the_papers_conventions():
    size = {"height": 31, "width": 41, "window": 21}
    render = jax.jit(partial(grid_sample, **size))

    def draw(mu, scale, rotation=0.0):
        arrays = ([mu], [scale], [rotation], [[1.0]])
        return np.asarray(render(*(jnp.array(x) for x in arrays)))[..., 0]

    centred = draw([0.0, 0.0], [0.9, 0.3])
    assert np.unravel_index(centred.argmax(), centred.shape) == (15, 20)
    np.testing.assert_allclose(centred.max(), 1.0, rtol=1e-6)
    # scale[0] is the vertical standard deviation, s (K - 1) / 10 = 1.8 rows.
    np.testing.assert_allclose(centred[15 + 2, 20], np.exp(-((2 / 1.8) ** 2) / 2), rtol=1e-4)
    assert centred[15 + 2, 20] > 10 * centred[15, 20 + 2]
    # Positive mu moves left and up, by mu (size - 1) / 2 pixels.
    moved = draw([0.5, 0.2], [0.9, 0.3])
    assert np.unravel_index(moved.argmax(), moved.shape) == (12, 10)
    # Where size - K is odd, mu = 0 is half a pixel off the middle.
    odd = paper_to_pixels(
        jnp.zeros((1, 2)), jnp.ones((1, 2)), jnp.zeros(1), height=128, width=32, window=51
    )[0]
    np.testing.assert_allclose(odd[0], [(32 - 1) / 2 - 0.5, (128 - 1) / 2 - 0.5])


def test_the_baseline_refuses_what_it_cannot_draw():
    arrays = [jnp.asarray(x) for x in paper_arguments()]
    with pytest.raises(ValueError, match="window is 8"):
        grid_sample(*arrays, height=16, width=16, window=8)
    with pytest.raises(ValueError, match="<= 16"):
        grid_sample(*arrays, height=16, width=20, window=17)
