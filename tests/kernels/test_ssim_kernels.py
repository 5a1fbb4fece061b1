"""`ssim`: every implementation against the reference in float64, transforms, refusals.

Pallas kernels run in the interpreter, mostly with short windows, which compile in seconds. Those of
Triton proper have tests of their own.
"""

import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ssim_cases import CASES, SHORT, Case, assert_close, in_float64

from pallas_kernels.ssim import ssim, uniform_window
from pallas_kernels.ssim.fused import Geometry
from pallas_kernels.ssim.measure import Measure
from pallas_kernels.ssim.stream import strips_of

unchecked = inspect.unwrap(ssim)
"""As users have it: without the checks of shapes that only tests add to signatures."""


@pytest.fixture(autouse=True)
def _interpret(monkeypatch):
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")


@pytest.mark.parametrize("implementation", ["pallas_triton", "xla"])
@pytest.mark.parametrize("name", CASES)
def test_equals_reference(name, implementation):
    x, y = CASES[name].frames(jnp.float32)
    run = jax.jit(partial(CASES[name].values, implementation=implementation))
    actual = run(x, y)
    assert all(z.dtype == jnp.float32 for z in actual)
    assert_close(actual, in_float64(CASES[name], x, y), 3e-5)


@pytest.mark.parametrize("implementation", ["xla", "pallas_triton"])
def test_bfloat16_is_computed_in_float32(implementation):
    case = CASES["lopsided"]
    x, y = case.frames(jnp.bfloat16)
    run = jax.jit(partial(case.values, implementation=implementation))
    value, *gradients = run(x, y)
    assert value.dtype == jnp.float32
    assert all(z.dtype == jnp.bfloat16 for z in gradients)
    expected_value, *expected = in_float64(case, x, y)
    assert_close([value], [expected_value], 1e-5)
    assert_close(gradients, expected, 2**-8)


def test_equal_frames_have_a_similarity_of_one_and_no_gradient():
    """Exactly, in the kernel: constant frames, where variances are zero, and others."""
    case = Case((1, 6, 7, 1), {"windows": SHORT, "padding": "same"})
    run = jax.jit(partial(case.values, implementation="pallas_triton"))
    constant = jnp.full(case.shape, 0.7)
    for frame in (0 * constant, constant, constant.at[:, 2:4, 1:3].add(0.3)):
        value, *gradients = run(frame, frame)
        assert value == 1.0
        assert not any(gradient.any() for gradient in gradients)
    # Between constant frames of two levels only the brightness differs: rounding over C2 remains.
    x, y = constant, constant - 0.3
    assert_close(run(x, y), in_float64(case, x, y), 3e-4)


@pytest.mark.parametrize("implementation", ["reference", "xla"])
def test_signed_negates_the_product_of_two_negative_factors(implementation):
    """One window a frame: brightness, contrast-structure, none or both of them are negative."""
    low, pattern = 2.0, np.random.default_rng(0).standard_normal((3, 3, 1))
    pattern -= pattern.mean()
    y = 0.3 + 0.2 * pattern
    x = np.stack([a * 0.3 + b * 0.2 * pattern for a in (1, -1) for b in (1, -1)])
    published, signed = (
        ssim(
            low + x,
            low + np.broadcast_to(y, x.shape),
            windows=(uniform_window(3),) * 2,
            data_range=(low, low + 1.0),
            signed=option,
            implementation=implementation,
        )
        for option in (False, True)
    )
    np.testing.assert_array_equal(np.sign(published), [1, -1, -1, 1])
    assert published[3] > 0.9
    np.testing.assert_allclose(signed, published * np.array([1, 1, 1, -1]), rtol=1e-6)


@pytest.mark.parametrize("implementation", ["pallas_triton", "reference", "xla"])
def test_signed_has_the_published_gradient_where_a_factor_is_zero(implementation):
    """Brightness is exactly 0 here, 2 * -1 * 0.5 + C1 with C1 = 1; contrast-structure is not."""
    pattern = 8 * jnp.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])[:, :, None]
    x, y = -1 - pattern, 0.5 + pattern

    def slope(implementation, signed):
        options = {"windows": ((0.25, 0.5, 0.25), (1.0,)), "data_range": 100.0, "signed": signed}
        return jax.jit(jax.grad(partial(ssim, implementation=implementation, **options)))(x, y)

    expected = slope("reference", signed=False)
    assert jnp.isfinite(expected).all()
    assert expected.any()
    np.testing.assert_allclose(slope(implementation, signed=True), expected, rtol=1e-5)


@cache
def gradient(implementation):
    """(x, y) -> the gradient by x of the sum of all similarities."""

    def total(x, y):
        return ssim(x, y, windows=SHORT, implementation=implementation).sum()

    return jax.jit(jax.grad(total))


def test_gradient_under_vmap():
    x, y = Case((2, 3, 6, 7, 1), {}).frames(jnp.float32)
    actual = jax.vmap(gradient("pallas_triton"), in_axes=(0, None))(x, y[0])
    for i in range(2):
        assert_close([actual[i]], [np.float64(gradient("xla")(x[i], y[0]))], 1e-5)


def test_sharded_frames_stay_where_they_are():
    x, y = Case((8, 6, 7, 1), {}).frames(jnp.float32)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.NamedSharding(mesh, jax.P("data"))
    x, y = jax.device_put((x, y), sharding)
    compiled = gradient("pallas_triton").lower(x, y).compile()
    text = compiled.as_text()
    assert not any(word in text for word in ("all-gather", "all-reduce", "all-to-all"))
    actual = compiled(x, y)
    assert actual.sharding.is_equivalent_to(sharding, 4)
    assert_close([actual], [np.float64(gradient("xla")(x, y))], 1e-5)


@pytest.mark.parametrize("frames", [1, 7, 160])
@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 1), (32, 64, 69), (300, 50, 3)])
def test_strips_cover_every_frame_once(frames, height, width, channels):
    measure = Measure((1.0,), (1.0,), 0.0, 1.0, False, "valid")
    geometry = Geometry(measure, height, width, channels, True)
    strips = strips_of(geometry.pixels, frames, channels)
    down = strips.programs // strips.across
    assert (down - 1) * strips.rows < height <= down * strips.rows
    assert (strips.across - 1) * strips.lanes < width * channels <= strips.across * strips.lanes


def test_kernels_say_where_they_cannot_run(monkeypatch):
    frame = jnp.zeros((1, 20, 20, 1))
    with pytest.raises(NotImplementedError, match="up to 17 pixels"):
        ssim(frame, frame, windows=(uniform_window(19),) * 2, implementation="pallas_triton")
    monkeypatch.delenv("PALLAS_KERNELS_INTERPRET")
    with pytest.raises(NotImplementedError, match="needs an NVIDIA GPU"):
        ssim(frame, frame, implementation="pallas_triton")
    assert ssim(frame, frame, implementation=["pallas_triton", "xla"]) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "zero"}, "padding is 'zero'"),
        ({"data_range": -1.0}, "positive number"),
        ({"data_range": (1.0, 1.0)}, "high > low"),
        ({"windows": ((0.5, 0.5), (1.0,))}, "odd number"),
        ({"windows": (uniform_window(9),) * 2}, "a window of 9 does not fit"),
        ({"windows": ((1.0,), (1.0,)), "sample_covariance": True}, "one pixel"),
        (
            {"windows": SHORT, "implementation": "cuda"},
            "expected one of reference, xla, pallas_triton",
        ),
        ({"windows": SHORT, "implementation": []}, "empty list"),
    ],
)
def test_bad_input_is_refused(options, message):
    frame = jnp.zeros((1, 8, 8, 1))
    with pytest.raises(ValueError, match=message):
        unchecked(frame, frame, **options)


def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match="equal shapes"):
        unchecked(jnp.zeros((8, 8, 1)), jnp.zeros((8, 8, 2)))
    with pytest.raises(TypeError, match="int32"):
        unchecked(jnp.zeros((8, 8, 1), jnp.int32), jnp.zeros((8, 8, 1)))
