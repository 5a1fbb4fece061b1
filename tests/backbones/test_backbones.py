"""The backbones: sizes, horizons, training behaviour and refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import backbones
from pdr_jax.backbones.layers.conv_sc import ConvSC
from pdr_jax.backbones.layers.dropout import stochastic_depth
from pdr_jax.backbones.layers.norm import BatchNorm
from pdr_jax.backbones.simvp import InceptionBlock

SHAPE = (3, 8, 12, 2)  # T, H, W, C: not square
SMALL = {"hid_S": 8, "hid_T": 16, "N_S": 2, "N_T": 2, "mlp_ratio": 2.0}
NAMES = ("simvp_incepu", "simvp_gsta", "tau")


@pytest.fixture(scope="module")
def frames():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(2, *SHAPE)), jnp.float32)


@pytest.fixture(scope="module")
def built(frames):
    """(module, variables) of every backbone."""
    # 12 / 2 channels make one group: 8 of them take long to compile, and test_interop has them.
    changes = {"simvp_incepu": {"hid_T": 12}}
    modules = {n: backbones.create(n, SHAPE, **SMALL | changes.get(n, {})) for n in NAMES}
    return {name: (module, filled(module, frames)) for name, module in modules.items()}


def filled(module, frames):
    """Random variables, for compiling the initial values of a whole model takes long."""
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        values = rng.normal(0, 0.2, leaf.shape)
        return jnp.asarray(values + (path[-1].key in ("scale", "var")), leaf.dtype)

    shapes = jax.eval_shape(module.init, jax.random.key(0), frames)
    return jax.tree_util.tree_map_with_path(fill, shapes)


@functools.partial(jax.jit, static_argnums=0, static_argnames="horizon")
def predict(module, variables, frames, horizon=None):
    return module.apply(variables, frames, horizon)


@functools.partial(jax.jit, static_argnums=0, static_argnames="horizon")
def train(module, variables, frames, key, horizon=None):
    """A training pass: prediction and updated collections."""
    return module.apply(
        variables, frames, horizon, train=True, mutable=["batch_stats"], rngs={"dropout": key}
    )


TAXIBJ, T2M = (4, 32, 32, 2), (12, 32, 64, 1)
KTH, HUMAN = (10, 128, 128, 1), (4, 256, 256, 3)
WIDTHS = {TAXIBJ: (32, 256, 2, 8), T2M: (32, 256, 2, 8), KTH: (64, 256, 2, 6)} | {
    HUMAN: (64, 512, 4, 8)
}


@pytest.mark.parametrize(
    ("name", "in_shape", "changes", "published"),
    [
        ("tau", TAXIBJ, {}, 9_545_442),
        ("tau", T2M, {}, 12_219_553),
        ("tau", KTH, {}, 14_955_201),
        ("tau", HUMAN, {}, 37_647_363),
        ("simvp_gsta", TAXIBJ, {}, 9_961_058),
        ("simvp_gsta", T2M, {}, 12_758_305),
        ("simvp_gsta", KTH, {}, 15_632_961),
        ("simvp_gsta", HUMAN, {"hid_T": 256}, 11_327_235),
        ("simvp_incepu", TAXIBJ, {}, 13_794_914),
        ("simvp_incepu", T2M, {}, 14_666_017),
        ("simvp_incepu", KTH, {}, 12_152_385),
        ("simvp_incepu", HUMAN, {"N_T": 6}, 41_156_355),
    ],
)
def test_parameter_counts_are_the_published_ones(name, in_shape, changes, published):
    sizes = dict(zip(("hid_S", "hid_T", "N_S", "N_T"), WIDTHS[in_shape], strict=True)) | changes
    module = backbones.create(name, in_shape, **sizes)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), frames)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == published


@pytest.mark.parametrize("name", ["simvp_incepu", "tau"])  # without and with batch statistics
def test_horizons_roll_out(name, built, frames):
    module, variables = built[name]
    once = predict(module, variables, frames)
    assert once.shape == frames.shape
    assert once.dtype == jnp.float32
    np.testing.assert_array_equal(predict(module, variables, frames, horizon=2), once[:, :2])
    twice = predict(module, variables, once)
    rolled = predict(module, variables, frames, horizon=5)
    np.testing.assert_allclose(rolled, jnp.concatenate([once, twice[:, :2]], 1), atol=1e-5)


def test_a_long_horizon_traces_one_pass(built, frames):
    module, variables = built["tau"]

    def products(horizon):
        jaxpr = jax.make_jaxpr(lambda v, x: module.apply(v, x, horizon=horizon))(variables, frames)
        return str(jaxpr).count("dot_general")

    assert products(30) == products(3) > 0


def test_variables_do_not_depend_on_the_horizon(built, frames):
    module, variables = built["tau"]
    longer = jax.eval_shape(lambda k, x: module.init(k, x, horizon=7), jax.random.key(0), frames)
    assert jax.tree.map(jnp.shape, longer) == jax.tree.map(jnp.shape, variables)


def test_a_rolled_out_training_pass_updates_the_statistics_at_every_pass(built, frames):
    module, variables = built["tau"]

    def of_first_norm(collections):
        return collections["batch_stats"]["translator"]["block_0"]["norm_1"]["mean"]

    key = jax.random.key(0)
    prediction, once = train(module, variables, frames, key)
    assert jnp.abs(of_first_norm(once) - of_first_norm(variables)).max() > 1e-3
    rolled, twice = train(module, variables, frames, key, horizon=6)
    np.testing.assert_allclose(rolled[:, :3], prediction, atol=1e-5)
    _, again = train(module, {"params": variables["params"], **once}, prediction, key)
    np.testing.assert_allclose(of_first_norm(twice), of_first_norm(again), rtol=1e-4, atol=1e-6)
    assert jnp.abs(of_first_norm(twice) - of_first_norm(once)).max() > 1e-3


def test_dropout_and_drop_path_are_reproducible_and_off_in_evaluation(built, frames):
    plain, variables = built["tau"]
    module = plain.clone(drop=0.3, drop_path=0.6)
    keys = (jax.random.key(seed) for seed in (3, 3, 4))
    first, again, other = (train(module, variables, frames, key)[0] for key in keys)
    np.testing.assert_array_equal(first, again)
    assert jnp.abs(first - other).max() > 0
    evaluated, expected = (jax.make_jaxpr(m.apply)(variables, frames) for m in (module, plain))
    assert str(evaluated) == str(expected)  # one program, which needs no key


def test_drop_path_drops_samples_and_keeps_the_mean():
    x = jnp.ones((4000, 3))
    drop_path = stochastic_depth(0.25, train=True, ndim=2)
    out = drop_path.apply({}, x, rngs={"dropout": jax.random.key(0)})
    np.testing.assert_allclose(jnp.unique(out), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_array_equal(out[:, 0], out[:, 2])
    assert abs(out.mean() - 1) < 0.03


def test_drop_path_rates_start_at_a_hundredth():
    def rates(drop_path, depth):
        settings = SMALL | {"N_T": depth, "drop_path": drop_path}
        return backbones.create("tau", SHAPE, **settings).drop_path_rates()

    np.testing.assert_allclose(rates(0.1, 4), [0.01, 0.04, 0.07, 0.1])
    np.testing.assert_allclose(rates(0.0, 3), [0.01, 0.005, 0])


def test_batch_norm_keeps_pytorch_statistics():
    x = np.random.default_rng(0).normal(2, 3, size=(2, 3, 4, 5)).astype(np.float32)
    norm = BatchNorm()
    variables = norm.init(jax.random.key(0), x, True)
    out, updated = norm.apply(variables, x, True, mutable=["batch_stats"])
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(out, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    stats = updated["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * x.var((0, 1, 2), ddof=1), rtol=1e-5)
    with pytest.raises(ValueError, match="more than one value per channel"):
        norm.apply(variables, x[:1, :1, :1], True, mutable=["batch_stats"])


@pytest.mark.parametrize(
    ("layer", "biases"),
    [
        (ConvSC(4), ("conv",)),
        (InceptionBlock(8, 8), tuple(f"conv_{i}" for i in range(4))),
    ],
)
def test_what_is_normalised_may_have_a_mean_far_from_0(layer, biases):
    """A normalised convolution's bias, the same in all channels, cancels, however large."""
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 4))
    variables = jax.jit(layer.init)(jax.random.key(1), x)
    far = jax.tree.map(jnp.copy, variables)
    for name in biases:
        variables["params"][name]["bias"] = jnp.zeros_like(far["params"][name]["bias"])
        far["params"][name]["bias"] = jnp.full_like(far["params"][name]["bias"], 300.0)
    apply = jax.jit(layer.apply)
    np.testing.assert_allclose(apply(far, x), apply(variables, x), atol=0.01)


def test_initial_values_follow_the_papers():
    key, x = jax.random.key(0), jnp.zeros((1, 4, 4, 64))
    module = backbones.create("tau", SHAPE, **SMALL | {"mlp_ratio": 8.0})
    block = jax.jit(lambda key, x: module.make_blocks()[0]().init(key, x, False))(key, x)["params"]
    # The attention keeps PyTorch's uniform default: bound 1 / sqrt(fan_in).
    far, mix = (block["attention"]["gate"][k] for k in ("far", "mix"))
    assert 0.99 / 7 < jnp.abs(far["kernel"]).max() <= 1 / 7
    assert 0.9 / 8 < jnp.abs(mix["bias"]).max() <= 1 / 8
    # The MLP has N(0, 2 / fan_out): fan_out is 9 for the depthwise 3x3, 512 for the expansion.
    np.testing.assert_allclose(block["mlp"]["depthwise"]["kernel"].std(), (2 / 9) ** 0.5, rtol=0.05)
    np.testing.assert_allclose(block["mlp"]["expand"]["kernel"].std(), (2 / 512) ** 0.5, rtol=0.05)
    np.testing.assert_array_equal(block["scale_1"], jnp.full(64, 0.01))
    layer = jax.jit(ConvSC(16).init)(key, x)["params"]
    np.testing.assert_allclose(layer["conv"]["kernel"].std(), 0.02, rtol=0.1)


def test_bfloat16_computes_with_float32_parameters(built, frames):
    exact_module, variables = built["tau"]
    module = exact_module.clone(dtype=jnp.bfloat16)
    own = jax.eval_shape(module.init, jax.random.key(0), frames)
    assert {leaf.dtype for leaf in jax.tree.leaves(own)} == {jnp.dtype("float32")}
    out, exact = (predict(m, variables, frames) for m in (module, exact_module))
    assert out.dtype == jnp.float32
    error = jnp.abs(out - exact).max() / jnp.abs(exact).max()
    assert 0 < error < 0.05


@pytest.mark.parametrize(
    ("name", "in_shape", "settings", "error", "message"),
    [
        ("tua", SHAPE, {}, ValueError, "did you mean 'tau'.*simvp_incepu, simvp_gsta, tau"),
        ("tau", SHAPE, {"hidS": 8}, TypeError, "did you mean 'hid_S'.*N_S, N_T"),
        ("tau", SHAPE, {"N_S": 3}, ValueError, "N_S = 3 must be even"),
        ("tau", SHAPE, {"N_S": 0}, ValueError, "N_S = 0 must be at least 2"),
        ("tau", SHAPE, {"N_S": 8}, ValueError, r"H = 8 must be divisible by 16 \(2\^\(N_S/2\)"),
        ("tau", (3, 8, 9, 2), {"N_S": 2}, ValueError, "W = 9 must be divisible by 2"),
        ("tau", (3, 8, 0, 2), {}, ValueError, "in_shape's W = 0 must be at least 1"),
        ("tau", (8, 8, 2), {}, ValueError, r"must be \(T, H, W, C\)"),
        ("tau", SHAPE, {"hid_S": 7}, ValueError, "hid_S = 7 must be even"),
        ("tau", SHAPE, {"hid_T": 3}, ValueError, "hid_T = 3 must be at least 4"),
        ("tau", (1, 8, 12, 2), {"hid_S": 2}, ValueError, r"T \* hid_S = 2 must be at least 4"),
        ("tau", SHAPE, {"hid_T": 1.5}, TypeError, "hid_T = 1.5 must be an integer"),
        ("tau", SHAPE, {"N_T": 1}, ValueError, "N_T = 1 must be at least 2"),
        ("tau", SHAPE, {"drop_path": 1.0}, ValueError, r"drop_path = 1.0 must be in \[0, 1\)"),
        ("tau", SHAPE, {"mlp_ratio": 1}, ValueError, "mlp_ratio = 1 must be greater than 1"),
        ("tau", SHAPE, {"spatio_kernel_dec": 4}, ValueError, "spatio_kernel_dec = 4 must be odd"),
        ("simvp_incepu", SHAPE, {"hid_S": 4}, ValueError, r"T \* hid_S = 12 must be div.* by 8"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(name, in_shape, settings, error, message):
    with pytest.raises(error, match=message):
        backbones.create(name, in_shape, **{"N_S": 2, **settings})


def test_frames_that_do_not_fit_are_refused(built, frames):
    module, variables = built["tau"]
    with pytest.raises(ValueError, match=r"this TAU was built for.*\(B, 3, 8, 12, 2\)"):
        module.apply(variables, frames[:, :2])
    with pytest.raises(ValueError, match=r"frames have shape \(3, 8, 12, 2\)"):
        module.apply(variables, frames[0])
    with pytest.raises(ValueError, match="horizon = 0 must be at least 1"):
        module.apply(variables, frames, horizon=0)
    with pytest.raises(TypeError, match=r"uint8.*floating point"):
        module.apply(variables, frames.astype(jnp.uint8))
