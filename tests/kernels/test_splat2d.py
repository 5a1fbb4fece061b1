"""What splat2d draws: every implementation against the definition and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pallas_kernels import splat2d
from pallas_kernels.splat2d.api import PORTABLE
from pallas_kernels.splat2d.shapes import SMALL, WORKLOADS

OTHERS = [name for name in PORTABLE if name != "reference"]


def one(mean, scale, rotation=0.0, amplitude=(1.0,), **options):
    """A single Gaussian, drawn in the dtype of the session."""
    arrays = ([mean], [scale], [rotation], [amplitude])
    return np.asarray(splat2d(*(jnp.array(x, float) for x in arrays), **options))


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("implementation", OTHERS)
class TestAgainstReference:
    """Forward and gradients equal the definition; a new implementation joins by its name alone."""

    @pytest.mark.parametrize("name", SMALL)
    def test_forward_and_gradient(self, implementation, name):
        case = SMALL[name]
        arrays = jax.device_put(case.arguments(seed=3, dtype=np.float64))
        cotangent = jnp.asarray(case.cotangent(seed=3, dtype=np.float64))

        def run(implementation):
            @jax.jit
            def both(*arrays):
                def render(*arrays):
                    return splat2d(*arrays, **case.options, implementation=implementation)

                out, pull = jax.vjp(render, *arrays)
                return out, *pull(cotangent)

            return both(*arrays)

        names = ("frame", "mean", "scale", "rotation", "amplitude")
        reference = run("reference")
        assert np.abs(reference[0]).max() > 0.1
        for what, got, want in zip(names, run(implementation), reference, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12, err_msg=what)

    def test_float32_and_bfloat16(self, implementation):
        case = SMALL["window"]
        wide = case.arguments(seed=1, dtype=np.float64)
        # Quantised first: what is bounded is the error of the arithmetic, not of the arguments.
        # Multiples of 1/8 keep windows from starting at different pixels.
        wide = [np.round(x * 8) / 8 for x in wide]
        want = np.asarray(splat2d(*wide, **case.options, implementation="reference"))
        for dtype, bound in ((jnp.float32, 2e-6), (jnp.bfloat16, 2**-8)):
            arrays = [jnp.asarray(x, dtype) for x in wide]
            assert all(
                (np.asarray(a, np.float64) == x).all() for a, x in zip(arrays, wide, strict=True)
            )
            got = splat2d(*arrays, **case.options, implementation=implementation)
            assert got.dtype == dtype
            assert np.abs(np.asarray(got, np.float64) - want).max() < bound * np.abs(want).max()


@pytest.mark.parametrize("implementation", PORTABLE)
class TestClosedForms:
    @pytest.fixture(autouse=True)
    def options(self, implementation, x64):
        self.options = {"height": 21, "width": 30, "implementation": implementation}

    def test_axis_aligned(self):
        got = one([11.3, 8.6], [3.0, 1.5], amplitude=(2.0, -1.0), **self.options)
        y, x = np.mgrid[:21, :30]
        want = np.exp(-((x - 11.3) ** 2) / 18 - (y - 8.6) ** 2 / 4.5)
        np.testing.assert_allclose(got, want[..., None] * [2.0, -1.0], atol=1e-14)

    def test_window(self):
        got = one([11.3, 8.5], [50.0, 50.0], window=5, **self.options)[..., 0]
        # |x - 11.3| <= 2.5 leaves columns 9 to 13; |y - 8.5| <= 2.5 rows 6 to 11, both ends.
        rows, columns = np.nonzero(got)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 11, 9, 13)
        assert np.count_nonzero(got) == 30

    def test_integral(self):
        got = one([14.2, 10.4], [2.0, 1.1], 0.7, (3.0,), **self.options).sum()
        np.testing.assert_allclose(got, 2 * np.pi * 2.0 * 1.1 * 3.0, rtol=1e-8)

    def test_rotation_is_clockwise_on_screen(self):
        # x right, y down: a small positive angle tilts the long axis towards the lower right.
        got = one([15.0, 10.0], [5.0, 1.0], np.pi / 4, **self.options)[..., 0]
        assert got[13, 18] > 0.5 > got[7, 18]

    def test_quarter_turn_swaps_scales(self):
        turned = one([11.3, 8.6], [3.0, 1.5], np.pi / 2, **self.options)
        np.testing.assert_allclose(turned, one([11.3, 8.6], [1.5, 3.0], **self.options), atol=1e-14)

    @pytest.mark.parametrize("window", [None, 7])
    def test_mirror(self, window):
        options = {**self.options, "window": window}
        got = one([11.3, 8.6], [3.0, 1.5], 0.4, **options)
        mirrored = one([29 - 11.3, 8.6], [3.0, 1.5], -0.4, **options)
        np.testing.assert_allclose(mirrored, got[:, ::-1], atol=1e-14)

    @pytest.mark.parametrize(
        ("window", "sampling"), [(None, "exact"), (9, "exact"), (9, "bilinear")]
    )
    def test_translation_by_whole_pixels(self, window, sampling):
        options = {**self.options, "window": window, "sampling": sampling}
        got = one([11.25, 8.5], [3.0, 1.5], 0.4, **options)
        moved = one([11.25 + 4, 8.5 - 3], [3.0, 1.5], 0.4, **options)
        np.testing.assert_allclose(moved[:-3, 4:], got[3:, :-4], atol=1e-14)

    def test_linear_in_amplitude(self, implementation):
        case = SMALL["window"]
        mean, scale, rotation, amplitude = case.arguments(dtype=np.float64)
        other = case.arguments(seed=1, dtype=np.float64)[3]

        def draw(amplitude):
            arrays = (mean, scale, rotation, amplitude)
            return splat2d(*arrays, **case.options, implementation=implementation)

        want = 2 * draw(amplitude) - 3 * draw(other)
        np.testing.assert_allclose(draw(2 * amplitude - 3 * other), want, atol=1e-13)

    def test_on_a_lattice_point_both_samplings_agree(self):
        options = {**self.options, "window": 9}
        exact = one([11.0, 8.0], [1.5, 1.2], 0.4, **options)
        bilinear = one([11.0, 8.0], [1.5, 1.2], 0.4, sampling="bilinear", **options)
        np.testing.assert_allclose(bilinear, exact, atol=1e-14)

    @pytest.mark.parametrize("mean", [[-3.5, 8.6], [11.3, 23.0], [-4.0, -4.0], [33.0, 24.0]])
    def test_partly_off_the_frame(self, mean):
        # The same Gaussian in a larger frame, cropped.
        got = one(mean, [3.0, 1.5], 0.4, **self.options, window=15)
        larger = {**self.options, "height": 41, "width": 50, "window": 15}
        want = one(np.add(mean, 10), [3.0, 1.5], 0.4, **larger)[10:31, 10:40]
        assert want.max() > 0
        np.testing.assert_allclose(got, want, atol=1e-14)

    @pytest.mark.parametrize("window", [None, 9])
    def test_wholly_off_the_frame(self, window):
        for mean in ([-1e6, 5.0], [1e6, -1e6], [5.0, 80.0], [-60.0, 5.0]):
            assert (one(mean, [0.9, 0.9], window=window, **self.options) == 0).all()

    def test_no_gaussians(self, implementation):
        empty = [jnp.zeros(shape) for shape in ((2, 0, 2), (2, 0, 2), (2, 0), (2, 0, 3))]
        out, pull = jax.vjp(lambda *arrays: splat2d(*arrays, **self.options), *empty)
        assert out.shape == (2, 21, 30, 3)
        assert (out == 0).all()
        assert [x.shape for x in pull(out)] == [x.shape for x in empty]
        none = [x[:0] for x in map(jnp.ones, ((2, 4, 2), (2, 4, 2), (2, 4), (2, 4, 3)))]
        assert splat2d(*none, **self.options).shape == (0, 21, 30, 3)


@pytest.mark.parametrize("implementation", PORTABLE)
def test_bfloat16_accumulates_in_float32(implementation):
    # Adding ones in bfloat16 gets stuck at 256.
    count = 1000
    arrays = [jnp.ones(shape, jnp.bfloat16) for shape in ((count, 2), (count, 2), (count,))]
    amplitude = jnp.ones((count, 1), jnp.bfloat16)
    out = splat2d(*arrays, amplitude, height=2, width=2, implementation=implementation)
    assert out.dtype == jnp.bfloat16
    assert out[1, 1, 0] == 1000


def test_result_has_the_dtype_of_the_amplitude():
    mean, scale, rotation, amplitude = map(jnp.asarray, SMALL["window"].arguments())
    options = SMALL["window"].options
    out = splat2d(mean, scale, rotation, amplitude.astype(jnp.bfloat16), **options)
    assert out.dtype == jnp.bfloat16
    # The means were not rounded to bfloat16, so only the amplitudes and the result are.
    exact = splat2d(mean, scale, rotation, amplitude, **options)
    assert jnp.abs(out.astype(jnp.float32) - exact).max() < 2**-7 * jnp.abs(exact).max()


@pytest.mark.parametrize("name", ["KTH64", "B"])
def test_workloads_in_float32(name):
    """Float32 at real sizes, against the definition in float64."""
    case = WORKLOADS[name]._replace(frames=1)
    arrays, cotangent = case.arguments(seed=2), case.cotangent(seed=2)

    def run(implementation, arrays, cotangent):
        def both(arrays, cotangent):
            render = lambda *arrays: splat2d(  # noqa: E731
                *arrays, **case.options, implementation=implementation
            )
            out, pull = jax.vjp(render, *arrays)
            return out, *pull(cotangent)

        return [np.asarray(x) for x in jax.jit(both)(arrays, cotangent)]

    got = run("xla", arrays, cotangent)
    with jax.enable_x64(True):
        want = run("reference", *jax.tree.map(np.float64, (arrays, cotangent)))
    for x, y in zip(got, want, strict=True):
        assert x.dtype == np.float32
        assert np.abs(x - y).max() < 5e-6 * np.abs(y).max()
