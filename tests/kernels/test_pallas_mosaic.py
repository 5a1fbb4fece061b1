"""What is particular to the kernels for Mosaic GPU, in its interpreter and with race detection."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d import factor, gather, mosaic_gpu, pallas_mosaic, pallas_mosaic_vjp
from pallas_kernels.splat2d.shapes import Case

has_interpreter = pytest.mark.skipif(
    mosaic_gpu.Interpreter is None,
    reason=f"jax {jax.__version__} has no interpreter for Mosaic GPU; jax 0.11 has",
)
MOSAIC = {"implementation": "pallas_mosaic"}
REFERENCE = {"implementation": "reference"}


@pytest.fixture
def interpreted(monkeypatch):
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")


def distance(got, want):
    return np.linalg.norm(np.subtract(got, want, dtype=np.float64)) / np.linalg.norm(want)


def test_refused_without_gpu_or_interpreter(monkeypatch):
    case = Case(1, 4, 4, 1, 2, None)
    with pytest.raises(NotImplementedError, match=r"compute capability 9\.0 or newer"):
        splat2d(*case.arguments(), **case.options, **MOSAIC)
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    monkeypatch.setattr(mosaic_gpu, "Interpreter", None)
    with pytest.raises(NotImplementedError, match="has no interpreter for Mosaic GPU"):
        splat2d(*case.arguments(), **case.options, **MOSAIC)


@has_interpreter
def test_boxes_skip_chunks_only_where_nothing_is_drawn():
    """The first chunk sets all bits of a word, the sign too, and only in the left one of two tiles.

    There are more channels than a pass holds.
    """
    case = Case(1, 9, 30, 9, 33, 5)
    geometry = gather.Geometry(case.height, case.width, case.window, jnp.dtype(jnp.float32), True)
    mean, scale, rotation, amplitude = map(jnp.asarray, case.arguments(seed=5))
    mean = mean.at[:, :32].multiply(0.3).at[:, 32].set(jnp.array([25.2, 4.1]))
    gaussians = gather.pack(geometry, mean, factor.factor_of(scale, rotation))
    padded = jnp.pad(amplitude, ((0, 0), (0, 64 - 33), (0, 0)))
    draw = jax.jit(lambda boxes: pallas_mosaic.forward(geometry, gaussians, padded, boxes))
    got = draw(gather.bounds(gaussians))
    want = splat2d(mean, scale, rotation, amplitude, **case.options, **REFERENCE)
    assert distance(got, want) < 1e-6


@has_interpreter
@pytest.mark.usefixtures("interpreted")
def test_vmap_of_grad_under_jit():
    """Frames smaller than a patch, and a window that no row of patches holds at once."""
    case = Case(2, 5, 70, 1, 2, 81)
    arrays = tuple(map(jnp.asarray, case.arguments(seed=2)))
    cotangent = jnp.asarray(case.cotangent())

    def pull(implementation):
        def loss(arrays, cotangent):
            return (splat2d(*arrays, **case.options, **implementation) * cotangent).sum()

        return jax.jit(jax.vmap(jax.grad(loss)))(arrays, cotangent)

    for got, want in zip(pull(MOSAIC), pull(REFERENCE), strict=True):
        assert distance(got, want) < 1e-5


def test_within():
    """The first and last pixel that a Gaussian reaches, of 10."""
    nan, far = float("nan"), 2.0**24
    mean = jnp.array([5.5, 5.25, 0.0, 9.0, -9.0, 30.0, -far, far, nan, 5.0])
    reach = jnp.array([2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, nan])
    first, last = jax.jit(pallas_mosaic_vjp.within, static_argnums=2)(mean, reach, 10)
    assert (first[:4] == jnp.array([3, 3, 0, 7])).all()
    assert (last[:4] == jnp.array([8, 7, 2, 9])).all()
    assert (first > last)[4:8].all()
    assert (first[8:] == 0).all()
    assert (last[8:] == 9).all()
