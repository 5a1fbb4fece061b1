"""Users do not see that a backend is deprecated, and everything else that JAX warns of."""

import warnings

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import Primitive
from jax.interpreters import mlir

from pallas_kernels import gpu, splat2d, ssim
from pallas_kernels.batching import independent_frames

H100 = jax.sharding.AbstractDevice(
    device_kind="NVIDIA H100 80GB HBM3" if jax.__version_info__ >= (0, 11) else "NVIDIA H100",
    num_cores=132,
    platform="gpu",
)


def drawn(amplitude):
    points = jnp.ones((1, 2, 2))
    options = {"height": 4, "width": 4, "window": 3, "implementation": "pallas_triton"}
    return splat2d(points, points, points[..., 0], amplitude, **options)


def compared(frames):
    return ssim(frames, frames, padding="same", implementation="pallas_triton")


@pytest.mark.parametrize(
    ("function", "shape"), [(drawn, (1, 2, 1)), (compared, (1, 4, 4, 1))], ids=["splat2d", "ssim"]
)
def test_pallas_triton_is_lowered_for_a_gpu_without_a_warning(function, shape, monkeypatch):
    monkeypatch.setattr(gpu, "require", lambda capability: None)
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=H100)

    def both(x):
        value, pull = jax.vjp(function, x)
        return value, pull(value)

    with warnings.catch_warnings(), jax.sharding.use_abstract_mesh(mesh):
        warnings.simplefilter("error")
        traced = jax.jit(both).trace(jax.ShapeDtypeStruct(shape, jnp.float32))
        lowered = traced.lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("xla.gpu.triton") >= 2


def test_other_warnings_are_shown():
    def lower(context, x):
        warnings.warn("something else", DeprecationWarning, stacklevel=1)
        return [x]

    warned = Primitive("warned")
    warned.def_abstract_eval(lambda x: x)
    mlir.register_lowering(warned, lower)
    with pytest.warns(DeprecationWarning, match="something else"):
        independent_frames(warned.bind)(jnp.ones((2, 3)))
