"""The selective scan is its definition, fast; VMRNN equals the public code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import check_unrolled, load, parameters

from pdr_jax import backbones, interop
from pdr_jax.backbones.layers import selective_scan as scans

LENGTH = 70  # no multiple of a chunk, and longer than each


@pytest.fixture(scope="module")
def problem():
    """Inputs of a scan, and weights of its output, in float64."""
    rng = np.random.default_rng(0)
    batch = (2, 4)
    return (
        (
            rng.normal(size=(LENGTH, *batch, 5)),
            rng.exponential(0.3, (LENGTH, *batch, 5)),
            -rng.uniform(0.2, 3, (4, 3, 5)),
            rng.normal(size=(LENGTH, *batch, 3)),
            rng.normal(size=(LENGTH, *batch, 3)),
        ),
        rng.normal(size=(LENGTH, *batch, 5)),
    )


def value_and_gradients(scan, problem):
    arguments, weights = problem

    @jax.jit
    def run(*arguments):
        y, vjp = jax.vjp(scan, *arguments)
        return y, *vjp(jnp.asarray(weights))

    with jax.enable_x64(True):
        return run(*arguments)


def test_the_definition_is_the_recurrence(problem):
    (u, delta, A, B, C), _ = problem
    state, outputs = np.zeros((2, 4, 3, 5)), []
    for t in range(LENGTH):
        gain = np.einsum("...d,...n->...nd", delta[t] * u[t], B[t])
        state = np.exp(delta[t, :, :, None] * A) * state + gain
        outputs.append(np.einsum("...nd,...n->...d", state, C[t]))
    y, *_ = value_and_gradients(scans.definition, problem)
    np.testing.assert_allclose(y, outputs, rtol=1e-12)


@pytest.mark.parametrize("scan", [scans.stepwise, scans.parallel, scans.selective_scan])
def test_fast_scans_are_the_definition(problem, scan):
    expected = value_and_gradients(scans.definition, problem)
    for value, wanted in zip(value_and_gradients(scan, problem), expected, strict=True):
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-11)


def test_a_sequence_may_be_shorter_than_a_chunk(problem):
    (u, delta, A, B, C), _ = problem
    short = tuple(jnp.float32(x[:3]) for x in (u, delta, B, C))
    u, delta, B, C = short
    A = jnp.float32(A)
    expected = scans.definition(u, delta, A, B, C)
    for scan in scans.stepwise, scans.parallel:
        np.testing.assert_allclose(scan(u, delta, A, B, C), expected, rtol=1e-5, atol=1e-6)


def test_the_four_directions_run_where_they_should():
    grid = jnp.arange(6.0).reshape(1, 2, 3, 1, 1)  # 0 1 2 over 3 4 5
    sequences = scans.unroll_grid(jnp.broadcast_to(grid, (1, 2, 3, 4, 1)))
    expected = [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5, 2, 4, 1, 3, 0]]
    np.testing.assert_array_equal(sequences[:, 0, :, 0].T, expected)
    np.testing.assert_array_equal(scans.roll_up_grid(sequences, 2), 4 * grid[:, :, :, 0])


def test_first_steps_and_rates():
    step = jax.nn.softplus(scans.initial_step(jax.random.key(0), (4, 1000)))
    low, high = scans.STEP_RANGE
    assert low * 0.99 < step.min() < 2 * low
    assert high / 2 < step.max() < high * 1.01
    assert jnp.log10(step).mean() == pytest.approx(-2, abs=0.05)
    rates = jnp.exp(scans.initial_rates(jax.random.key(0), (4, 3, 5)))
    np.testing.assert_allclose(rates, np.broadcast_to([[1], [2], [3]], (4, 3, 5)), rtol=1e-6)


@pytest.mark.parametrize("name", ["vmrnn_b", "vmrnn_d"])
def test_outputs_equal_the_public_code(name):
    config, weights, arrays = load(name)
    check_unrolled(config, weights, arrays)
    module, _ = interop.from_openstl(config, weights)
    written = interop.family(config).config(module)
    depths = {field: value for field, value in config.items() if field.startswith("depths_")}
    assert written | depths == written


@pytest.mark.parametrize(
    ("name", "in_shape", "settings", "count"),
    [
        ("vmrnn_b", (4, 32, 32, 2), {}, 2_579_970),  # 2.6 M in the paper
        ("vmrnn_b", (10, 128, 128, 1), {"patch_size": 2, "depths": 6}, 1_214_721),
        ("vmrnn_d", (10, 64, 64, 1), {}, 15_267_201),
        (
            "vmrnn_d",
            (10, 64, 64, 1),
            {"depths_downsample": (2, 2), "depths_upsample": (2, 2)},
            9_674_113,
        ),
    ],
)
def test_published_sizes(name, in_shape, settings, count):
    module = backbones.create(name, in_shape, faithful=True, **settings)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == count


def test_only_the_first_block_joins_two_inputs():
    def joining(faithful):
        module = backbones.create("vmrnn_b", (2, 16, 16, 1), depths=3, faithful=faithful)
        frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
        variables = jax.eval_shape(module.init, jax.random.key(0), frames)["params"]["cell"]
        paths = {path.rpartition("/")[0] for path in flatten_dict(variables, sep="/")}
        return {path for path in paths if "reduce" in path or "spare" in path}

    assert joining(False) == {"block_0/reduce"}
    assert joining(True) == {"block_0/reduce", "spare_1", "spare_2"}


def test_stochastic_depth_within_cells_on_the_way_up():
    def rates(faithful):
        module = backbones.create(
            "vmrnn_d", (2, 16, 16, 1), depths_downsample=(1, 2), depths_upsample=(2, 1),
            drop_path_rate=0.4, faithful=faithful,
        )  # fmt: skip
        return [stage.drop_path for stage in module.stages()]

    np.testing.assert_allclose(rates(False)[1], (0.2, 0.4))
    assert rates(False)[3] == rates(True)[3][::-1] == pytest.approx((0.2, 0.0))
    assert rates(False)[:3] == rates(True)[:3]


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match=r"attn_drop_rate = 1\.0"):
        backbones.create("vmrnn_b", (2, 16, 16, 1), attn_drop_rate=1.0)
    with pytest.raises(ValueError, match=r"in_shape's H = 12 must be divisible by 8"):
        backbones.create("vmrnn_d", (2, 12, 16, 1))
