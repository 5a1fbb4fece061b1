"""ssim in Triton proper: what is refused without it, and its results in Triton's interpreter."""

import jax.numpy as jnp
import pytest
import triton_interpreter
from ssim_cases import CASES, SHORT, Case, assert_close, in_float64
from triton_interpreter import interpreted, not_interpreted

from pallas_kernels.ssim import jax_triton, jax_triton_vjp, ssim
from pallas_kernels.ssim.fused import Geometry
from pallas_kernels.ssim.jax_triton_strips import strips_of
from pallas_kernels.ssim.measure import Measure


def test_says_where_it_cannot_run():
    frame = jnp.zeros((1, 20, 20, 1))
    with pytest.raises(NotImplementedError, match="needs an NVIDIA GPU"):
        ssim(frame, frame, implementation="jax_triton")
    assert ssim(frame, frame, implementation=["jax_triton", "xla"]) == 1.0


@pytest.mark.parametrize("frames", [1, 160])
@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 1), (32, 64, 69), (300, 51, 3)])
def test_strips_cover_every_frame_once(frames, height, width, channels):
    measure = Measure((1.0,), (1.0,), 0.0, 1.0, False, "valid")
    geometry = Geometry(measure, height, width, channels, False)
    strips = strips_of(geometry.pixels, frames, channels)
    down = -(-height // strips.tall)
    across = strips.programs // down
    values = -(-width // strips.wide) * channels
    assert strips.programs == down * across
    assert (across - 1) * strips.lanes < values <= across * strips.lanes


@pytest.mark.rest
@not_interpreted
def test_kernels_in_tritons_interpreter():
    triton_interpreter.run(__file__)


@pytest.fixture
def run(monkeypatch):
    """`Case.values` of the kernels."""
    triton_interpreter.use(monkeypatch, jax_triton, jax_triton_vjp)
    return lambda case, x, y: case.values(x, y, "jax_triton")


@interpreted
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_kernels_match_the_reference(run, case):
    x, y = case.frames(jnp.float32)
    actual = run(case, x, y)
    assert all(z.dtype == jnp.float32 for z in actual)
    assert_close(actual, in_float64(case, x, y), 3e-5)


@interpreted
def test_kernels_match_the_reference_in_bfloat16(run):
    case = CASES["lopsided"]
    x, y = case.frames(jnp.bfloat16)
    value, *gradients = run(case, x, y)
    assert value.dtype == jnp.float32
    assert all(z.dtype == jnp.bfloat16 for z in gradients)
    expected_value, *expected = in_float64(case, x, y)
    assert_close([value], [expected_value], 1e-5)
    assert_close(gradients, expected, 2**-7)  # the interpreter cuts digits off


@interpreted
def test_kernels_match_exactly_where_frames_are_equal(run):
    """A similarity of 1 and no gradient, for constant frames and others."""
    case = Case((1, 6, 7, 1), {"windows": SHORT, "padding": "same"})
    constant = jnp.full(case.shape, 0.7)
    for frame in (0 * constant, constant, constant.at[:, 2:4, 1:3].add(0.3)):
        value, *gradients = run(case, frame, frame)
        assert value == 1.0
        assert not any(gradient.any() for gradient in gradients)
