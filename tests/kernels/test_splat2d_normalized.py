"""splat2d_normalized: against its definition, and what follows from it."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d_normalized
from pallas_kernels.splat2d import reference
from pallas_kernels.splat2d.shapes import Case

NAMES = ("frame", "coverage", "mean", "scale", "rotation", "amplitude", "weight")
CASE = Case(2, 7, 9, 2, 6, 5)


def arguments(case, dtype):
    weight = np.random.default_rng(9).uniform(0, 2, (case.frames, case.gaussians))
    return *case.arguments(seed=9, dtype=dtype), weight.astype(dtype)


def value_and_gradients(draw, case, dtype):
    """The frame, the coverage, and the gradients of all five arrays."""
    arrays = tuple(map(jnp.asarray, arguments(case, dtype)))
    cotangent = jnp.asarray(case._replace(channels=3).cotangent(dtype=dtype))

    @jax.jit
    def both(*arrays):
        out, pull = jax.vjp(draw, *arrays)
        return *out, *pull((cotangent[..., :2], cotangent[..., 2:]))

    return [np.asarray(x, np.float64) for x in both(*arrays)]


def defined(case):
    with jax.enable_x64(True):
        options = {**case.options, "full": 1.5, "softness": 0.1}
        draw = lambda *arrays: reference.normalized(*arrays, **options)  # noqa: E731
        return value_and_gradients(draw, case, np.float64)


def drawn(case, dtype, implementation):
    options = {**case.options, "full": 1.5, "softness": 0.1, "implementation": implementation}
    draw = lambda *arrays: splat2d_normalized(*arrays, **options)  # noqa: E731
    return value_and_gradients(draw, case, dtype)


@pytest.mark.parametrize(
    "case", [CASE, CASE._replace(window=None), CASE._replace(sampling="bilinear")]
)
def test_definition_and_gradients_in_float64(case):
    with jax.enable_x64(True):
        got = drawn(case, np.float64, "xla")
    for what, x, y in zip(NAMES, got, defined(case), strict=True):
        assert np.abs(y).max() > 1e-3, what
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-12, err_msg=what)


@pytest.mark.parametrize("implementation", ["pallas_triton", "pallas_mosaic"])
def test_gpu_implementations(monkeypatch, implementation):
    if implementation == "pallas_mosaic" and jax.__version_info__ < (0, 11):
        pytest.skip("the interpreter of Mosaic GPU came with jax 0.11")
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    got = drawn(CASE, np.float32, implementation)
    for what, x, y in zip(NAMES, got, defined(CASE), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5 * np.abs(y).max(), err_msg=what)


def grid(size, sigma, dtype=np.float32):
    """One Gaussian on every pixel of a square frame: mean, scale and rotation."""
    y, x = np.mgrid[:size, :size].reshape(2, -1).astype(dtype)
    return np.stack([x, y], -1), np.full((size**2, 2), sigma, dtype), np.zeros(size**2, dtype)


def test_a_resting_grid_is_covered_and_does_not_change_a_constant():
    sigma, size = 0.8, 12
    options = {"height": size, "width": size, "window": 7, "full": 2 * np.pi * sigma**2}
    amplitude, weight = np.full((size**2, 1), 0.3, np.float32), np.ones(size**2, np.float32)
    frame, coverage = splat2d_normalized(*grid(size, sigma), amplitude, weight, **options)
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(coverage[inside], 1.0, atol=1e-3)
    np.testing.assert_allclose(frame[inside], 0.3, atol=1e-5)
    # Twice the weight is twice the coverage and no brighter than the softness allows.
    frame, coverage = splat2d_normalized(*grid(size, sigma), amplitude, 2 * weight, **options)
    np.testing.assert_allclose(coverage[inside], 2.0, atol=2e-3)
    np.testing.assert_allclose(frame[inside], 0.3 * 1.02 / 1.01, atol=1e-5)
    # Without weight there is a hole.
    weight[: size**2 // 2] = 0
    frame, coverage = splat2d_normalized(*grid(size, sigma), amplitude, weight, **options)
    assert (coverage[: size // 2 - 3] == 0).all()
    assert (frame[: size // 2 - 3] == 0).all()
    np.testing.assert_allclose(frame[size // 2 + 3 : -3, 3:-3], 0.3, atol=1e-5)


def test_bfloat16_is_divided_in_float32():
    *places, amplitude, weight = arguments(CASE, np.float32)
    options = {**CASE.options, "full": 1.5}
    amplitude = jnp.asarray(amplitude, jnp.bfloat16)
    narrow = splat2d_normalized(*places, amplitude, weight, **options)
    wide = splat2d_normalized(*places, amplitude.astype(np.float32), weight, **options)
    for x, y in zip(narrow, wide, strict=True):
        assert x.dtype == jnp.bfloat16
        np.testing.assert_array_equal(x, y.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weight": np.ones((2, 5), np.float32)}, ValueError, r"weight has shape \(2, 5\)"),
        ({"weight": np.ones((2, 6, 1), np.float32)}, ValueError, r"weight has shape \(2, 6, 1\)"),
        ({"weight": np.ones((2, 6), int)}, TypeError, "weight has dtype int.*cast it"),
        ({"full": 0}, ValueError, "full is 0; expected a positive"),
        ({"full": float("inf")}, ValueError, "full is inf"),
        ({"full": "1"}, TypeError, "full is '1'"),
        ({"softness": -0.1}, ValueError, "softness is -0.1"),
        ({"softness": np.ones(2)}, TypeError, "softness is array"),
        ({"window": 4}, ValueError, "window is 4"),
    ],
)
def test_refusals(changes, error, message):
    names = ("mean", "scale", "rotation", "amplitude", "weight")
    given = dict(zip(names, arguments(CASE, np.float32), strict=True))
    with pytest.raises(error, match=message):
        inspect.unwrap(splat2d_normalized)(**{**given, **CASE.options, **changes})
