"""The GPU implementations of splat2d, in the interpreter: all of them against the definition."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from pallas_kernels import splat2d, triton_math
from pallas_kernels.splat2d.api import ON_GPU
from pallas_kernels.splat2d.shapes import SMALL, Case

NAMES = ("frame", "mean", "scale", "rotation", "amplitude")
EXACT = [name for name, case in SMALL.items() if case.sampling == "exact"]
OLD_JAX = jax.__version_info__ < (0, 11)
MINUTES = {("pallas_mosaic", name) for name in ("many chunks", "many Gaussians", "many of both")}
"""Cases that take the interpreter of Mosaic GPU minutes, because it runs every thread."""


@pytest.fixture(autouse=True, scope="module")
def interpreted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALLAS_KERNELS_INTERPRET", "1")
        yield


@pytest.fixture(params=ON_GPU)
def implementation(request):
    return interpretable(request.param)


def interpretable(implementation):
    if implementation == "jax_triton":
        pytest.skip("jax-triton has no interpreter: test_jax_triton.py runs it in Triton's")
    if implementation == "pallas_mosaic" and OLD_JAX:
        pytest.skip("the interpreter of Mosaic GPU came with jax 0.11")
    return implementation


@cache
def compiled(implementation, case):
    """(arrays, cotangent) -> the frames and the gradient of all arrays."""

    @jax.jit
    def both(arrays, cotangent):
        out, pull = jax.vjp(
            lambda *arrays: splat2d(*arrays, **case.options, implementation=implementation), *arrays
        )
        return out, *pull(cotangent)

    return both


def run(implementation, case, arrays, cotangent):
    return compiled(implementation, case)(arrays, cotangent)


def exactly(case, arrays, cotangent):
    """The same in float64 by the definition."""
    with jax.enable_x64(True):
        arrays, cotangent = jax.tree.map(lambda x: jnp.asarray(x, float), (arrays, cotangent))
        return [np.asarray(x) for x in run("reference", case, arrays, cotangent)]


def error(got, want):
    """Relative, in the Euclidean norm."""
    got, want = np.asarray(got, np.float64), np.asarray(want)
    return np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30)


class TestAgainstReference:
    @pytest.mark.parametrize(
        ("name", "case_name"),
        [
            pytest.param(*pair, marks=[pytest.mark.slow] if pair in MINUTES else [])
            for pair in itertools.product(ON_GPU, EXACT)
        ],
    )
    def test_float32(self, name, case_name):
        implementation, case = interpretable(name), SMALL[case_name]
        arrays, cotangent = case.arguments(seed=3), case.cotangent(seed=3)
        got = run(implementation, case, arrays, cotangent)
        want = exactly(case, arrays, cotangent)
        for what, x, y in zip(NAMES, got, want, strict=True):
            assert x.dtype == jnp.float32
            assert error(x, y) < 2e-6, what

    @pytest.mark.parametrize("name", ["window", "many channels"])
    def test_bfloat16(self, implementation, name):
        # Frames, their cotangent and amplitudes are bfloat16; places and shapes float32.
        case = SMALL[name]
        *arrays, amplitude = case.arguments(seed=4)
        arrays = [*arrays, jnp.asarray(amplitude, jnp.bfloat16)]
        cotangent = jnp.asarray(case.cotangent(seed=4), jnp.bfloat16)
        got = run(implementation, case, arrays, cotangent)
        want = exactly(case, arrays, cotangent)
        for what, x, y in zip(NAMES, got, want, strict=True):
            assert error(x, y) < 2**-8, what
        assert got[0].dtype == got[4].dtype == jnp.bfloat16

    def test_with_x64_enabled(self, implementation):
        case = SMALL["window of one pixel"]
        arrays, cotangent = case.arguments(seed=5), case.cotangent(seed=5)
        want = exactly(case, arrays, cotangent)
        with jax.enable_x64(True):
            got = run(implementation, case, arrays, cotangent)
        assert max(map(error, got, want)) < 2e-6

    def test_runs_are_identical(self, implementation):
        case = SMALL["window"]
        arrays, cotangent = case.arguments(), case.cotangent()
        first = run(implementation, case, arrays, cotangent)
        second = run(implementation, case, arrays, cotangent)
        assert all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))


def test_neighbours_with_blocks_of_channels():
    """Windows of many bytes: Gaussians are pulled together, and each program takes 10 channels."""
    case = Case(1, 17, 16, 19, 9, None)
    arrays, cotangent = case.arguments(seed=6), case.cotangent(seed=6)
    got = run("pallas_triton", case, arrays, cotangent)
    for what, x, y in zip(NAMES, got, exactly(case, arrays, cotangent), strict=True):
        assert error(x, y) < 2e-6, what


def test_places_in_a_frame_that_is_longer_than_the_mask():
    long = jax.ShapeDtypeStruct((triton_math.ROW + 8,), jnp.float32)
    index = jnp.int32(triton_math.ROW + 5)
    assert triton_math.place(long, index) == index


def test_means_an_ulp_from_a_tie(implementation):
    # Rounding decides there which pixels a window holds: the definition in float32 is the standard.
    case = Case(2, 12, 12, 1, 6, 5)
    ties = np.array([2.5, 4.5, 6.5, 8.5, 3.5, 1.5], np.float32)
    mean = np.stack([np.nextafter(ties, np.float32(end)) for end in (-np.inf, np.inf)])
    mean = np.stack([mean, mean[:, ::-1]], -1)
    _, _, rotation, amplitude = case.arguments()
    scale = np.broadcast_to(np.float32([3.0, 2.0]), mean.shape)
    arrays = (mean, scale, rotation, amplitude)
    want = run("reference", case, arrays, case.cotangent())
    for what, x, y in zip(
        NAMES, run(implementation, case, arrays, case.cotangent()), want, strict=True
    ):
        assert error(x, y) < 1e-5, what


RATIOS = 10.0 ** np.array([0, 1, 2, 4, 5, 8, 10, 30])
ROTATIONS = np.array([0.0, 1e-5, 0.3, np.pi / 4, np.pi / 2, np.pi / 2 + 1e-4, np.pi, -2.0])


def test_gradients_hold_whatever_the_ratio_of_the_axes(implementation):
    """The gradient by the rotation of thin Gaussians along the rows is the hardest."""
    ratio, rotation = (x.ravel() for x in np.meshgrid(RATIOS, ROTATIONS))
    case = Case(1, 9, 11, 2, len(ratio), 5)
    mean, _, _, amplitude = case.arguments(seed=7)
    scale = np.stack([np.full_like(ratio, 0.7), 0.7 * ratio], -1).astype(np.float32)
    arrays = (mean, scale[None], rotation.astype(np.float32)[None], amplitude)
    got = run(implementation, case, arrays, case.cotangent())
    want = exactly(case, arrays, case.cotangent())
    for what, x, y in zip(NAMES, got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=2e-6 * np.abs(y).max(), err_msg=what)


DEGENERATE = Case(1, 9, 11, 2, 4, 5)


def of_four(dtype, *shape, elements):
    """Arrays of some property of four Gaussians, each value one of `elements`."""
    return hnp.arrays(dtype, (1, 4, *shape), elements=st.sampled_from(np.array(elements, dtype)))


degenerate_gaussians = given(
    mean=of_four(np.float32, 2, elements=[-1e30, -1e6, -2.6, 0, 3.5, 4.2, 8, 12.9, 1e6, 1e30]),
    scale=of_four(np.float32, 2, elements=[-1, 0, 1e-6, 0.03, 0.7, 5, 1e5, 1e30]),
    rotation=of_four(np.float32, elements=[0, 0.3, np.pi / 4, np.pi / 2, -2, 100]),
    amplitude=of_four(np.float32, 2, elements=[0, 1, -2.5, 1e-20, 1e4]),
)


def check_degenerate_gaussians(mean, scale, rotation, amplitude):
    cotangent = DEGENERATE.cotangent()
    got = run("pallas_triton", DEGENERATE, (mean, scale, rotation, amplitude), cotangent)
    want = exactly(DEGENERATE, (mean, scale, rotation, amplitude), cotangent)
    # In float32 the direction of an axis is known to some 2^-21 |sin cos|, even to `reference`.
    # Where a thin Gaussian's ridge runs through pixel centres, gradients depend on that.
    uncertain = 2.0**-21 * np.abs(np.sin(rotation) * np.cos(rotation))
    turned = [
        exactly(DEGENERATE, (mean, scale, np.float64(rotation) + turn, amplitude), cotangent)
        for turn in (-uncertain, uncertain)
    ]
    size = max(np.abs(amplitude).max(), 1e-30)
    assert np.abs(np.asarray(got[0]) - want[0]).max() < 2e-5 * size
    for what, x, y, *ends in zip(NAMES, got, want, *turned, strict=True):
        assert np.isfinite(x).all(), what
        # Gradients through thin Gaussians are far larger than the frames.
        bound = 1e-3 * np.abs(y) + 1e-4 * size + sum(np.abs(end - y) for end in ends)
        assert (np.abs(np.asarray(x, np.float64) - y) < bound).all(), what


ALONG_A_ROW = {  # its rotation's gradient was lost
    "mean": np.zeros((1, 4, 2), np.float32),
    "scale": np.float32([[[0.7, 1e30]] * 4]),
    "rotation": np.full((1, 4), np.pi / 2, np.float32),
    "amplitude": np.ones((1, 4, 2), np.float32),
}


@settings(max_examples=25)
@example(**ALONG_A_ROW)
@degenerate_gaussians
def test_degenerate_gaussians(mean, scale, rotation, amplitude):
    check_degenerate_gaussians(mean, scale, rotation, amplitude)


@pytest.mark.slow
@settings(max_examples=5000, derandomize=False)
@degenerate_gaussians
def test_any_degenerate_gaussians(mean, scale, rotation, amplitude):
    check_degenerate_gaussians(mean, scale, rotation, amplitude)


def test_nan_stays_in_its_frame(implementation):
    case = SMALL["window"]
    cotangent = case.cotangent()
    clean = run(implementation, case, case.arguments(), cotangent)
    for spoilt in range(4):
        arrays = [x.copy() for x in case.arguments()]
        arrays[spoilt][0, 2] = np.nan
        frame, *gradients = run(implementation, case, arrays, cotangent)
        assert np.isnan(frame[0]).any()
        assert np.array_equal(frame[1], clean[0][1])
        for got, want in zip(gradients, clean[1:], strict=True):
            assert np.array_equal(got[1], want[1])


@cache
def draw_and_gradients(implementation, case):
    """Two functions of the arrays, compiled once for all tests below."""

    def draw(*arrays):
        return splat2d(*arrays, **case.options, implementation=implementation)

    gradients = jax.grad(lambda *arrays: jnp.sin(draw(*arrays)).sum(), argnums=(0, 1, 2, 3))
    return jax.jit(draw), jax.jit(gradients)


class TestTransformations:
    """jit, vmap, checkpoint, scan, donation, sharding and export, on one small shape."""

    @pytest.fixture(autouse=True)
    def functions(self, implementation):
        case = Case(2, 5, 6, 2, 3, 3)
        self.draw, self.gradients = draw_and_gradients(implementation, case)
        self.arrays = [jnp.asarray(x) for x in case.arguments()]

    def check(self, got, want):
        for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)

    def test_vmap_of_the_gradient(self):
        self.check(jax.vmap(self.gradients)(*self.arrays), self.gradients(*self.arrays))

    def test_checkpoint_in_scan(self):
        def loss(*arrays, wrap):
            def step(mean, _):
                return mean + 0.5, jnp.sin(wrap(self.draw)(mean, *arrays[1:])).sum()

            return jax.lax.scan(step, arrays[0], None, length=2)[1].sum()

        plain = jax.jit(jax.grad(lambda *a: loss(*a, wrap=lambda f: f), argnums=(0, 3)))
        saved = jax.jit(jax.grad(lambda *a: loss(*a, wrap=jax.checkpoint), argnums=(0, 3)))
        self.check(saved(*self.arrays), plain(*self.arrays))

    def test_donated(self):
        want = self.draw(*self.arrays)
        donated = jax.jit(lambda x, *arrays: (x * 2, self.draw(x, *arrays)), donate_argnums=0)
        _, got = donated(self.arrays[0] + 0, *self.arrays[1:])
        self.check(got, want)

    @pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit])
    def test_sharded_frames_do_not_communicate(self, implementation, axis_type):
        if implementation == "pallas_mosaic":
            pytest.skip("its interpreter is a callback, which custom_partitioning loses")
        mesh = jax.make_mesh((2,), ("data",), axis_types=(axis_type,))
        sharding = NamedSharding(mesh, P("data"))
        sharded = [jax.device_put(x, sharding) for x in self.arrays]
        compiled = self.gradients.lower(*sharded).compile()
        assert "all-" not in compiled.as_text()
        got = compiled(*sharded)
        assert all(x.sharding.is_equivalent_to(sharding, x.ndim) for x in got)
        self.check(jax.device_get(got), self.gradients(*self.arrays))

    def test_export_round_trip(self, implementation):
        if implementation == "pallas_mosaic":
            pytest.skip("its interpreter is a callback, which jax.export refuses")
        exported = jax.export.export(self.gradients)(*self.arrays)
        again = jax.export.deserialize(exported.serialize())
        self.check(again.call(*self.arrays), self.gradients(*self.arrays))


class TestChoice:
    def test_without_a_gpu_or_the_interpreter(self, monkeypatch):
        monkeypatch.delenv("PALLAS_KERNELS_INTERPRET")
        case = SMALL["window"]
        for name in ON_GPU:
            with pytest.raises(NotImplementedError, match=f"{name}: needs "):
                splat2d(*case.arguments(), **case.options, implementation=name)

    def test_float64_goes_elsewhere(self):
        case = SMALL["window"]
        with jax.enable_x64(True):
            arrays = case.arguments(dtype=np.float64)
            with pytest.raises(NotImplementedError, match="float32, not float64"):
                splat2d(*arrays, **case.options, implementation="pallas_triton")
            names = ["pallas_triton", "xla"]
            assert splat2d(*arrays, **case.options, implementation=names).dtype == float

    def test_bilinear_goes_elsewhere(self):
        case = SMALL["bilinear"]
        with pytest.raises(NotImplementedError, match="'bilinear'"):
            splat2d(*case.arguments(), **case.options, implementation="pallas_triton")
