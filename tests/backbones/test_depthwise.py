"""Convolutions in the CPU's form equal XLA's, forward and in both gradients."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax.backbones.layers.conv import convolve
from pdr_jax.backbones.layers.depthwise import depthwise_conv, xla_conv
from pdr_jax.backbones.layers.loop_conv import grouped_conv


def compare(form, reference, x_shape, kernel_shape, tolerance=1e-12):
    """Output and gradients of `form` against `reference`, in float64."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, kernel = (jnp.asarray(rng.standard_normal(s)) for s in (x_shape, kernel_shape))
        out, vjp = jax.vjp(form, x, kernel)
        expected, expected_vjp = jax.vjp(reference, x, kernel)
        cotangent = jnp.asarray(rng.standard_normal(out.shape))
        for got, want in zip(
            (out, *vjp(cotangent)), (expected, *expected_vjp(cotangent)), strict=True
        ):
            assert got.dtype == jnp.float64
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 100)


# Widths below, at and above one step of the kernel gradient, and one that no step divides.
@pytest.mark.parametrize(
    ("kernel_size", "dilation", "shape"),
    [
        ((3, 3), 1, (2, 5, 7, 4)),
        ((5, 5), 1, (1, 6, 16, 3)),
        ((7, 7), 3, (2, 9, 37, 2)),
        ((1, 5), 2, (3, 4, 33, 1)),
        ((51, 5), 1, (1, 6, 7, 2)),  # these two are summed in parts
        ((5, 27), 2, (1, 8, 60, 1)),
    ],
)
def test_depthwise_equals_xla(kernel_size, dilation, shape):
    compare(
        lambda x, k: depthwise_conv(x, k, dilation=dilation),
        lambda x, k: xla_conv(x, k, dilation),
        shape,
        (*kernel_size, 1, shape[-1]),
    )


@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 4), (2, 1, 2), (1, 2, 2)])
def test_grouped_equals_xla(stride, dilation, groups):
    compare(
        lambda x, k: convolve(x, k, stride, groups, dilation),
        lambda x, k: grouped_conv(x, k, stride, groups, dilation),
        (2, 6, 8, 8),
        (3, 3, 8 // groups, 12),
    )


def test_any_batch_dimensions_and_vmap():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((2, 3, 4, 6, 5), np.float32))
    kernel = jnp.asarray(rng.standard_normal((3, 3, 1, 5), np.float32))
    together = depthwise_conv(x, kernel)
    assert together.shape == x.shape
    by_vmap = jax.vmap(depthwise_conv, (0, None))(x, kernel)
    np.testing.assert_allclose(together, by_vmap, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(together[1, 2], depthwise_conv(x[1, 2], kernel), atol=1e-6)


def test_bfloat16_stays_bfloat16():
    x, kernel = jnp.ones((1, 4, 4, 2), jnp.bfloat16), jnp.ones((3, 3, 1, 2), jnp.float32)
    out, vjp = jax.vjp(depthwise_conv, x, kernel)
    assert out.dtype == jnp.bfloat16
    assert [g.dtype for g in vjp(out)] == [jnp.bfloat16, jnp.float32]
    assert out[0, 1, 1, 0] == 9
    assert out[0, 0, 0, 0] == 4


@pytest.mark.parametrize("kernel_size", [(5, 5), (21, 5)])  # the second is summed in parts
def test_bfloat16_sums_are_taken_in_float32(kernel_size):
    """Of numbers rounded to bfloat16, all sums are as XLA's: off by the last rounding only."""
    rng = np.random.default_rng(0)
    shapes = (4, 32, 32, 2), (*kernel_size, 1, 2), (4, 32, 32, 2)
    values = [jnp.asarray(1 + rng.standard_normal(s), jnp.bfloat16) for s in shapes]

    def sums(x, kernel, cotangent):
        out, vjp = jax.vjp(depthwise_conv, x, kernel)
        return out, *vjp(cotangent)

    exact = sums(*(value.astype(jnp.float32) for value in values))
    for got, want in zip(sums(*values), exact, strict=True):
        np.testing.assert_allclose(got.astype(jnp.float32), want, rtol=2**-8, atol=1e-4)


def test_each_platform_is_lowered_to_its_own_form():
    x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2))

    def gradient(x, kernel):
        return jax.grad(lambda x, k: depthwise_conv(x, k).sum(), (0, 1))(x, kernel)

    for function in (depthwise_conv, gradient):
        program = jax.jit(function)
        cpu, cuda = (
            jax.export.export(program, platforms=[p])(x, kernel).mlir_module()
            for p in ("cpu", "cuda")
        )
        assert "stablehlo.convolution" not in cpu
        assert "stablehlo.convolution" in cuda
        assert "stablehlo.while" not in cuda


def test_wrong_kernels_are_refused():
    x = jnp.zeros((1, 4, 4, 2))
    with pytest.raises(ValueError, match="both sides must be odd"):
        depthwise_conv(x, jnp.zeros((3, 4, 1, 2)))
    with pytest.raises(ValueError, match=r"expected \(K, K', 1, 2\)"):
        depthwise_conv(x, jnp.zeros((3, 3, 1, 5)))
