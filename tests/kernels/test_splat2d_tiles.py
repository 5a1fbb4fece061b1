"""The xla implementation's form for accelerators, which draws tiles: here on the CPU, by itself.

What is asked of every implementation, and that programs lowered for accelerators have this form.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from pallas_kernels import splat2d
from pallas_kernels.splat2d import tiles, xla
from pallas_kernels.splat2d.api import IMPLEMENTATIONS
from pallas_kernels.splat2d.shapes import SMALL, WORKLOADS, Case

NAMES = ("frame", "mean", "scale", "rotation", "amplitude")


@pytest.fixture(autouse=True)
def _by_name(monkeypatch):
    monkeypatch.setitem(IMPLEMENTATIONS, "tiles", xla.splat_with(tiles.forward, tiles.moments))


@partial(jax.jit, static_argnums=(0, 1))
def run(case, implementation, cotangent, *arrays):
    """The frame, and the gradients by the four arrays."""

    def draw(*arrays):
        return splat2d(*arrays, **case.options, implementation=implementation)

    out, pull = jax.vjp(draw, *arrays)
    return out, *pull(cotangent)


@pytest.mark.parametrize("name", [x for x in SMALL if x not in ("many chunks", "many of both")])
def test_is_the_definition(name):
    case = SMALL[name]
    with jax.enable_x64(True):
        arrays = case.cotangent(3, np.float64), *case.arguments(3, np.float64)
        want = run(case, "reference", *arrays)
        got = run(case, "tiles", *arrays)
    for what, x, y in zip(NAMES, got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-12, err_msg=what)


def test_float32_at_a_real_size():
    case = WORKLOADS["B"]._replace(frames=1)
    arrays = case.cotangent(2), *case.arguments(2)
    got = run(case, "tiles", *arrays)
    with jax.enable_x64(True):
        want = run(case, "reference", *map(np.float64, arrays))
    for what, x, y in zip(NAMES, map(np.asarray, got), map(np.asarray, want), strict=True):
        assert x.dtype == np.float32
        assert np.abs(x - y).max() < 5e-6 * np.abs(y).max(), what


def test_an_exported_program_draws_any_number_of_frames():
    case = Case(3, 8, 11, 2, 5, 5)
    draw = jax.jit(partial(splat2d, **case.options, implementation="tiles"))
    arrays = case.arguments(1)
    (frames,) = export.symbolic_shape("frames")
    shapes = [jax.ShapeDtypeStruct((frames, *x.shape[1:]), x.dtype) for x in arrays]
    program = export.export(draw)(*shapes)
    np.testing.assert_array_equal(program.call(*arrays), draw(*arrays))


@pytest.mark.parametrize(("window", "sampling"), [(None, "exact"), (5, "exact"), (5, "bilinear")])
def test_extreme_arguments_stay_finite(window, sampling):
    means = [(3.0, 3.0), (-1e6, 1e6), (1e30, 0.0), (-1e38, -1e38)]
    scales = [0.0, -1.0, 1e-30, 0.05, 1e4, 1e30]
    grid = [(m, (s, t)) for m in means for s in scales for t in (0.0, 1e30)]
    mean, scale = (jnp.array(x, jnp.float32)[None] for x in zip(*grid, strict=True))
    case = Case(1, 8, 11, 1, len(grid), window, sampling)
    arrays = mean, scale, jnp.linspace(0.0, 6.0, len(grid))[None], jnp.ones((1, len(grid), 1))
    for what, x in zip(NAMES, run(case, "tiles", case.cotangent(), *arrays), strict=True):
        assert jnp.isfinite(x).all(), what


@pytest.mark.parametrize("bad", range(4), ids=NAMES[1:])
def test_nan_stays_in_its_frame(bad):
    case = SMALL["window"]
    arrays = [jnp.asarray(x) for x in case.arguments()]
    arrays[bad] = arrays[bad].at[0, 2].set(jnp.nan)
    out, *gradients = run(case, "tiles", case.cotangent(), *arrays)
    assert jnp.isnan(out[0]).any(), "a NaN must be seen, not dropped"
    assert all(jnp.isfinite(x[1]).all() for x in (out, *gradients))


def test_nan_stays_around_its_window():
    case = SMALL["window"]._replace(height=40, width=50)
    mean, scale, rotation, amplitude = map(jnp.asarray, case.arguments())
    mean = mean.at[0, 2].set(jnp.array([9.0, 10.0]))
    amplitude = amplitude.at[0, 2].set(jnp.nan)
    out = run(case, "tiles", case.cotangent(), mean, scale, rotation, amplitude)[0]
    rows, columns, _ = np.nonzero(np.isnan(out[0]))
    # The tile of 4 x 4 pixels that holds the mean, and the eight around it.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 15, 4, 15)


def test_memory(monkeypatch):
    """Both directions hold VALUES values at a time, or one frame's for one GROUP."""
    monkeypatch.setattr(tiles, "VALUES", 2**16)
    case = Case(8, 40, 48, 2, 3000, 9)
    arrays = case.cotangent(), *case.arguments()
    memory = run.lower(case, "tiles", *arrays).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 32 * 2**16 * 4 < 8 * 3000 * 40 * 48 * 4 / 20


ACCELERATORS = ("cuda", "rocm", "tpu")
LOWERED = {
    "patches": Case(3, 40, 48, 2, 403, 15),
    "small patches": Case(3, 40, 48, 2, 403, 5),
    "bilinear": Case(3, 40, 48, 2, 403, 15, "bilinear"),
    "no window": Case(3, 40, 48, 2, 403, None),
}


def lowered(case, platform):
    """The program's text, and the lengths of its loops, where they are known."""
    arrays = case.cotangent(), *case.arguments()
    text = run.trace(case, "xla", *arrays).lower(lowering_platforms=(platform,)).as_text()
    conditions = re.findall(r"stablehlo\.while.*?cond \{(.*?)\} do", text, re.DOTALL)
    assert len(conditions) == text.count("stablehlo.while")
    return text, [int(n) for x in conditions for n in re.findall(r"dense<(\d+)>", x)]


@pytest.mark.parametrize("platform", ACCELERATORS)
@pytest.mark.parametrize("name", LOWERED)
def test_accelerators_have_no_loop_over_gaussians_and_no_scatter(name, platform):
    """In what XLA is given; a scatter adds in no fixed order on a GPU."""
    case = LOWERED[name]
    text, lengths = lowered(case, platform)
    assert "scatter" not in text
    assert all(length <= -(-case.gaussians // tiles.GROUP) for length in lengths)


def test_cpus_keep_their_form():
    patches = lowered(LOWERED["patches"], "cpu")[1]
    assert LOWERED["patches"].gaussians in patches
    assert "scatter" in lowered(LOWERED["small patches"], "cpu")[0]


def test_one_export_serves_several_platforms():
    case = SMALL["window"]
    arrays = case.cotangent(), *case.arguments()
    exported = jax.export.export(jax.jit(partial(run, case, "xla")), platforms=("cpu", "cuda"))
    got = exported(*arrays).call(*arrays)
    for x, y in zip(got, run(case, "xla", *arrays), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
