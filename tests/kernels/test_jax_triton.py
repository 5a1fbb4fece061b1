"""splat2d in Triton proper: what is refused without it, and its results in Triton's interpreter."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import triton_interpreter
from triton_interpreter import interpreted, not_interpreted

from pallas_kernels import gpu
from pallas_kernels.splat2d import jax_triton, jax_triton_vjp, reference
from pallas_kernels.splat2d.shapes import SMALL, Case

CASES = {name: case for name, case in SMALL.items() if case.sampling == "exact"} | {
    "many channels": Case(2, 13, 21, 12, 40, 7),
    "several blocks of channels": Case(1, 9, 14, 69, 33, 5),
    "many channels, no window": Case(1, 9, 18, 17, 5, None),
    "sorted": Case(1, 12, 33, 1, 1030, 1),
    "sorted, many channels": Case(1, 12, 33, 9, 1030, 1),
}


def test_needs_a_gpu():
    with pytest.raises(NotImplementedError, match=r"GPU of compute capability 8\.0 or newer"):
        draw(Case(1, 4, 4, 1, 1, None))


def test_has_no_interpreter_of_its_own(monkeypatch):
    monkeypatch.setenv("PALLAS_KERNELS_INTERPRET", "1")
    with pytest.raises(NotImplementedError, match="no interpreter: unset PALLAS_KERNELS_INTERPRET"):
        draw(Case(1, 4, 4, 1, 1, None))


@pytest.mark.parametrize("package", ["triton", "jax_triton"])
def test_names_the_missing_package(monkeypatch, package):
    monkeypatch.setattr(gpu, "require", lambda capability: None)
    for name in ("triton", "jax_triton"):
        monkeypatch.setitem(sys.modules, name, sys)  # any module
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotImplementedError, match=f"import of {package} .*pip install jax-triton"):
        draw(Case(1, 4, 4, 1, 1, None))


@pytest.mark.rest
@not_interpreted
def test_kernels_in_tritons_interpreter():
    triton_interpreter.run(__file__)


@interpreted
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_kernels_match_the_reference(monkeypatch, case):
    for found, expected in zip(*results(monkeypatch, case, jnp.float32), strict=True):
        assert distance(found, expected) < 1e-5


@interpreted
@pytest.mark.parametrize("channels", [3, 12])
def test_kernels_match_the_reference_in_bfloat16(monkeypatch, channels):
    case = Case(2, 20, 13, channels, 7, 5)
    for found, expected in zip(*results(monkeypatch, case, jnp.bfloat16), strict=True):
        assert distance(found, expected) < 2e-2  # the interpreter cuts digits off: 1e-2


@interpreted
@pytest.mark.parametrize("channels", [2, 9])
def test_kernels_match_for_thin_gaussians_along_a_row(monkeypatch, channels):
    case = Case(1, 9, 11, channels, 2, 5)
    mean, scale, rotation, amplitude = case.arguments()
    mean[:], scale[:], rotation[:] = [4.2, 3.5], [0.7, 1e10], np.pi / 2
    arrays = (mean, scale, rotation, amplitude)
    for found, expected in zip(*results(monkeypatch, case, jnp.float32, arrays), strict=True):
        assert distance(found, expected) < 1e-5


@interpreted
@pytest.mark.parametrize("channels", [2, 9])
def test_kernels_match_where_a_gaussian_is_nan(monkeypatch, channels):
    case = Case(2, 9, 20, channels, 5, None)
    arrays = case.arguments()
    arrays[0][0, 2, 0] = np.nan
    frames, _ = interpreted_results(monkeypatch, case, arrays, jnp.float32)
    assert np.isnan(frames[0]).all()
    assert not np.isnan(frames[1]).any()


@interpreted
@pytest.mark.parametrize("channels", [2, 9])
def test_kernels_match_off_the_frame(monkeypatch, channels):
    case = Case(1, 9, 20, channels, 5, 5)
    arrays = case.arguments()
    for index, mean in enumerate([(-50, 3), (1e6, 3), (3, -1e6), (3, 50), (-3, 12)]):
        arrays[0][0, index] = mean
    for found in jax.tree.leaves(interpreted_results(monkeypatch, case, arrays, jnp.float32)):
        assert not found.any()


def draw(case, arrays=None, splat=jax_triton.splat, dtype=jnp.float32):
    arrays = case.arguments() if arrays is None else arrays
    return splat(*map(jnp.asarray, arrays), **case.options, dtype=dtype)


def results(monkeypatch, case, dtype, arrays=None):
    """Frames and four gradients, flat: of the kernels, and of the reference in float64."""
    arrays = case.arguments() if arrays is None else arrays
    frames, gradients = interpreted_results(monkeypatch, case, arrays, dtype)
    with jax.enable_x64(True):
        wide = [x.astype(np.float64) for x in arrays]
        out, pull = jax.vjp(lambda *x: draw(case, x, reference.splat, jnp.float64), *wide)
        expected = (out, *pull(jnp.asarray(case.cotangent()).astype(dtype).astype(jnp.float64)))
    return (frames, *gradients), expected


def interpreted_results(monkeypatch, case, arrays, dtype):
    """Frames and gradients of kernels that run in Triton's interpreter."""
    triton_interpreter.use(monkeypatch, jax_triton, jax_triton_vjp)
    arrays = [jnp.asarray(x) for x in arrays]
    out, pull = jax.vjp(lambda *x: draw(case, x, dtype=dtype), *arrays)
    return out, pull(jnp.asarray(case.cotangent()).astype(dtype))


def distance(found, expected):
    """Norm of the difference over the norm of what is expected."""
    found, expected = (np.asarray(x, np.float64) for x in (found, expected))
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30)
