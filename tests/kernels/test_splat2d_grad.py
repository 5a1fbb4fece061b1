"""Gradients of splat2d, and what happens where they could go wrong."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d.api import PORTABLE
from pallas_kernels.splat2d.shapes import SMALL, Case

NAMES = ("mean", "scale", "rotation", "amplitude")
CASES = {
    "no window": Case(1, 7, 9, 2, 3, None),
    "window": Case(1, 7, 9, 2, 3, 5),
    "bilinear": Case(1, 7, 9, 2, 3, 5, "bilinear"),
}
IMPLEMENTED = pytest.mark.parametrize("implementation", PORTABLE)


@IMPLEMENTED
@pytest.mark.parametrize("name", CASES)
def test_finite_differences(implementation, name):
    """Every element of every parameter, float64, central differences."""
    case, step = CASES[name], 1e-6
    with jax.enable_x64(True):
        arrays = [jnp.asarray(x) for x in case.arguments(seed=5, dtype=np.float64)]
        cotangent = case.cotangent(seed=5, dtype=np.float64)

        @jax.jit
        def loss(*arrays):
            frames = splat2d(*arrays, **case.options, implementation=implementation)
            return (cotangent * jnp.sin(frames)).sum()

        got = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(*arrays)
        for i, what in enumerate(NAMES):
            want = np.zeros(arrays[i].shape)
            for at in np.ndindex(want.shape):
                ends = [
                    loss(*arrays[:i], arrays[i].at[at].add(by), *arrays[i + 1 :])
                    for by in (step, -step)
                ]
                want[at] = (ends[0] - ends[1]) / (2 * step)
            assert np.abs(want).max() > 1e-3
            np.testing.assert_allclose(got[i], want, atol=2e-8, err_msg=what)


@partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def value_and_gradients(arrays, implementation, window, sampling="exact", height=8, width=11):
    """The frames of `arrays`, and the gradients of the sum of their squares."""
    options = {"height": height, "width": width, "window": window, "sampling": sampling}
    out, pull = jax.vjp(
        lambda *arrays: splat2d(*arrays, **options, implementation=implementation), *arrays
    )
    return out, pull(2 * out)


@IMPLEMENTED
@pytest.mark.parametrize(("window", "sampling"), [(None, "exact"), (5, "exact"), (5, "bilinear")])
def test_extreme_arguments_stay_finite(implementation, window, sampling):
    scales = [0.0, -1.0, 1e-30, 1e-3, 0.05, 1e4, 1e30]
    means = [(3.0, 3.0), (3.1, 2.7), (-1e6, 1e6), (1e30, 0.0), (-1e38, -1e38)]
    grid = [(m, (s, t)) for m in means for s in scales for t in (0.0, 1.0, 1e30)]
    mean, scale = (jnp.array(x, jnp.float32) for x in zip(*grid, strict=True))
    rotation = jnp.linspace(0.0, 6.0, len(grid))
    amplitude = jnp.where(jnp.arange(len(grid)) % 2 == 0, 1.0, 0.0)[:, None]
    arrays = (mean, scale, rotation, amplitude)
    out, gradients = value_and_gradients(arrays, implementation, window, sampling)
    assert jnp.isfinite(out).all()
    for what, x in zip(NAMES, gradients, strict=True):
        assert jnp.isfinite(x).all(), what
    if window is None:
        # A scale of 1e30 pixels is a constant, wherever the mean lies.
        constant = value_and_gradients(
            (mean[-1:], jnp.full((1, 2), 1e30), rotation[-1:], jnp.ones((1, 1))),
            implementation,
            window,
        )[0]
        np.testing.assert_allclose(constant, 1.0)


@IMPLEMENTED
def test_zero_scale_is_a_point_without_scale_gradient(implementation):
    mean = jnp.array([[4.0, 3.0], [6.5, 5.5]])
    arrays = (mean, jnp.zeros((2, 2)), jnp.zeros(2), jnp.array([[2.0], [3.0]]))
    out, gradients = value_and_gradients(arrays, implementation, 5)
    # On a pixel centre it is drawn there; between pixels it is not seen.
    want = np.zeros((8, 11, 1))
    want[3, 4] = 2.0
    np.testing.assert_allclose(out, want)
    assert (gradients[1] == 0).all()
    np.testing.assert_allclose(gradients[3], [[4.0], [0.0]])


@IMPLEMENTED
@pytest.mark.parametrize("bad", range(4), ids=NAMES)
def test_nan_stays_in_its_frame(implementation, bad):
    case = SMALL["window"]
    arrays = [jnp.asarray(x) for x in case.arguments()]
    arrays[bad] = arrays[bad].at[0, 2].set(jnp.nan)
    out, gradients = value_and_gradients(
        arrays, implementation, case.window, "exact", case.height, case.width
    )
    assert jnp.isnan(out[0]).any(), "a NaN must be seen, not dropped"
    assert all(jnp.isfinite(x[1]).all() for x in (out, *gradients))


def test_nan_stays_in_its_patch():
    case = SMALL["window"]._replace(height=40, width=50)
    mean, scale, rotation, amplitude = (jnp.asarray(x) for x in case.arguments())
    mean = mean.at[0, 2].set(jnp.array([9.0, 10.0]))
    clean = splat2d(mean, scale, rotation, amplitude, **case.options)
    out = splat2d(mean, scale, rotation, amplitude.at[0, 2].set(jnp.nan), **case.options)
    rows, columns, _ = np.nonzero(np.isnan(out[0]))
    assert (rows.min(), rows.max()) == (8, 13)
    assert columns.min() == 7
    assert columns.max() <= 15  # the window rounded up to a vector
    away = (slice(None), slice(None), slice(20, None))
    without = splat2d(mean, scale, rotation, amplitude.at[0, 2].set(0.0), **case.options)
    np.testing.assert_array_equal(out[away], without[away])
    np.testing.assert_array_equal(out[1], clean[1])


def test_zero_amplitude_gets_the_gradient_of_its_amplitude_only():
    case = SMALL["window"]
    mean, scale, rotation, amplitude = (jnp.asarray(x) for x in case.arguments())
    render = lambda *arrays: splat2d(*arrays, **case.options)  # noqa: E731
    out, pull = jax.vjp(render, mean, scale, rotation, 0 * amplitude)
    gradients = pull(jnp.ones_like(out))
    assert (out == 0).all()
    assert all((x == 0).all() for x in gradients[:3])
    assert jnp.abs(gradients[3]).max() > 0.1


@pytest.mark.parametrize(("window", "sampling"), [(21, "exact"), (21, "bilinear"), (5, "exact")])
def test_memory_stays_at_inputs_and_outputs(window, sampling):
    case = Case(8, 96, 96, 1, 1000, window, sampling)

    def step(arrays, cotangent):
        out, pull = jax.vjp(lambda *arrays: splat2d(*arrays, **case.options), *arrays)
        return out, pull(cotangent)

    compiled = jax.jit(step).lower(case.arguments(), case.cotangent()).compile()
    memory = compiled.memory_analysis()
    arguments = memory.argument_size_in_bytes + memory.output_size_in_bytes
    one_frame = case.gaussians * case.height * case.width * 4  # N x H x W, float32
    assert memory.temp_size_in_bytes < 8 * arguments
    assert memory.temp_size_in_bytes < one_frame / 5


def test_forward_mode_is_the_references():
    case = SMALL["window"]
    arrays = case.arguments()

    def render(implementation):
        return lambda *arrays: splat2d(*arrays, **case.options, implementation=implementation)

    _, tangent = jax.jvp(render("reference"), arrays, arrays)
    assert jnp.isfinite(tangent).all()
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(render("xla"), arrays, arrays)
