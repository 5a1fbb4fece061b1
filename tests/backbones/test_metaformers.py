"""SimVP's convolutional and MLP translators: OpenSTL's outputs, sizes, and what each one is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import InvalidRngError
from golden_files import check_simvp, load, parameters

from pdr_jax import backbones
from pdr_jax.backbones.hornet import RecursiveGatedConv
from pdr_jax.backbones.layers import conv
from pdr_jax.backbones.moganet import MultiOrderConv
from pdr_jax.backbones.poolformer import pool
from pdr_jax.interop import from_openstl

NAMES = (
    "simvp_convmixer", "simvp_convnext", "simvp_hornet", "simvp_mlp", "simvp_moga",
    "simvp_poolformer", "simvp_van",
)  # fmt: skip


def last_block(name, **rates):
    """The translator's last block, whose stochastic depth is `drop_path`."""
    settings = {"hid_S": 8, "hid_T": 16, "N_S": 2, "mlp_ratio": 2.0} | rates
    return backbones.create(name, (2, 8, 12, 1), **settings).make_blocks()[-1]()


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_openstl(name):
    # The recorded outputs of MogaNet and HorNet are themselves 7e-6 away from the same computation
    # in float64, and ours in float32 as much: exact arithmetic leaves one of the two.
    exact = name in ("simvp_moga", "simvp_hornet")
    check_simvp(name, np.float64 if exact else np.float32)


BENCHMARKS = {  # T, H, W, C; hid_S, hid_T, N_S, N_T
    "taxibj": ((4, 32, 32, 2), (32, 256, 2, 8)),
    "weather": ((12, 32, 64, 1), (32, 256, 2, 8)),
    "kth": ((10, 128, 128, 1), (64, 256, 2, 6)),
    "human": ((4, 256, 256, 3), (64, 512, 4, 8)),
    "mmnist": ((10, 64, 64, 1), (64, 512, 4, 8)),
}
EXCEPTIONS = {
    ("simvp_hornet", "human"): (64, 512, 4, 6),
    ("simvp_moga", "human"): (64, 256, 4, 6),
}
PUBLISHED = {  # one column per benchmark
    "simvp_convmixer": (841_314, 1_135_905, 1_532_481, 3_134_211, 3_919_361),
    "simvp_convnext": (7_843_554, 10_087_585, 12_466_881, 31_392_771, 37_313_921),
    "simvp_hornet": (9_679_650, 12_416_097, 15_261_441, 28_117_635, 45_738_305),
    "simvp_mlp": (8_244_002, 11_100_257, 20_262_657, 46_967_939, 38_192_449),
    "simvp_moga": (9_964_426, 12_762_121, 15_636_327, 8_618_889, 46_777_065),
    "simvp_poolformer": (7_753_314, 9_985_313, 12_376_641, 31_212_291, 37_115_393),
    "simvp_van": (9_484_002, 12_149_921, 14_893_761, 37_524_483, 44_520_833),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, monkeypatch):
    # Most of the time would go into tracing the depthwise convolutions' many terms.
    monkeypatch.setattr(conv, "depthwise_conv", lambda x, kernel, dilation: x)
    counts = []
    for benchmark, (in_shape, usual) in BENCHMARKS.items():
        sizes = EXCEPTIONS.get((name, benchmark), usual)
        settings = dict(zip(("hid_S", "hid_T", "N_S", "N_T"), sizes, strict=True))
        module = backbones.create(name, in_shape, **settings)
        frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
        counts.append(parameters(jax.eval_shape(module.init, jax.random.key(0), frames)))
    assert tuple(counts) == PUBLISHED[name]


@pytest.fixture(scope="module")
def initial():
    """Parameters of one block of each kind, 64 wide, for 4x6 pixels, by path."""
    x = jnp.zeros((1, 4, 6, 64))

    @jax.jit
    def init(key):
        return {name: last_block(name).init(key, x, False)["params"] for name in NAMES}

    return init(jax.random.key(0))


@pytest.mark.parametrize(
    ("name", "path", "deviation"),
    [
        # Convolutions N(0, 2 / fan_out), fan_out being 121, 64, 49, 128, 25, 1, ...
        ("simvp_convmixer", "depthwise", (2 / 121) ** 0.5),
        ("simvp_convmixer", "pointwise", (2 / 64) ** 0.5),
        ("simvp_convnext", "depthwise", (2 / 49) ** 0.5),
        ("simvp_convnext", "mlp/expand", (2 / 128) ** 0.5),
        ("simvp_hornet", "gated_conv/depthwise", (2 / 49) ** 0.5),
        ("simvp_hornet", "gated_conv/proj_in", (2 / 128) ** 0.5),
        ("simvp_moga", "attention/value/near", (2 / 25) ** 0.5),
        ("simvp_moga", "mlp/decompose", 2**0.5),
        ("simvp_van", "attention/gate/mix", (2 / 64) ** 0.5),
        # Linear layers N(0, 0.02^2); PoolFormer's 1x1 convolutions as well.
        ("simvp_hornet", "mlp/expand", 0.02),
        ("simvp_mlp", "pixels/expand", 0.02),
        ("simvp_mlp", "channels/contract", 0.02),
        ("simvp_poolformer", "mlp/expand", 0.02),
    ],
)
def test_initial_kernels_follow_the_papers(initial, name, path, deviation):
    layer = initial[name]
    for key in path.split("/"):
        layer = layer[key]
    np.testing.assert_allclose(layer["kernel"].std(), deviation, rtol=0.12)
    np.testing.assert_array_equal(layer["bias"], jnp.zeros_like(layer["bias"]))


@pytest.mark.parametrize(
    ("name", "gain", "value"),
    [
        ("simvp_convnext", "layer_scale", 1e-6),
        ("simvp_hornet", "scale_1", 1e-6),
        ("simvp_hornet", "scale_2", 1e-6),
        ("simvp_moga", "scale_1", 1e-5),
        ("simvp_moga", "scale_2", 1e-5),
        ("simvp_poolformer", "scale_1", 1e-5),
        ("simvp_poolformer", "scale_2", 1e-5),
        ("simvp_van", "scale_1", 1e-2),
        ("simvp_van", "scale_2", 1e-2),
    ],
)
def test_layer_scales_start_small(initial, name, gain, value):
    np.testing.assert_array_equal(initial[name][gain], jnp.full(64, value))


@pytest.mark.parametrize(
    ("name", "drops", "drops_paths"),
    [
        ("simvp_convmixer", False, False),
        ("simvp_convnext", False, True),
        ("simvp_hornet", False, True),
        ("simvp_mlp", True, True),
        ("simvp_moga", True, True),
        ("simvp_poolformer", True, True),
        ("simvp_van", True, True),
    ],
)
def test_what_is_dropped_in_training(name, drops, drops_paths):
    x = jnp.zeros((2, 4, 6, 16))

    def draws(**rates):
        block = last_block(name, **rates)

        def train():
            variables = block.init(jax.random.key(0), x, False)
            return block.apply(variables, x, True, mutable=["batch_stats"])

        try:
            jax.eval_shape(train)
        except InvalidRngError:  # there is no "dropout" key
            return True
        return False

    assert draws(drop=0.5) == drops
    assert draws(drop_path=0.5) == drops_paths
    assert not draws()


def test_hornet_gates_are_a_polynomial_of_degree_five():
    module, rng = RecursiveGatedConv(), np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(1, 4, 6, 16)), jnp.float32)

    def scaled(key):
        variables = module.init(key, x)  # the biases are 0: all terms have the highest degree
        return module.apply(variables, x), module.apply(variables, 2 * x)

    once, twice = jax.jit(scaled)(jax.random.key(0))
    np.testing.assert_allclose(twice, 2**5 * once, rtol=1e-3, atol=1e-4 * jnp.abs(twice).max())


def test_moganet_sees_three_sizes_of_context():
    x = jnp.zeros((1, 31, 31, 16)).at[:, 15, 15].set(1)
    module = MultiOrderConv()
    response = jax.jit(lambda key: module.apply(module.init(key, x), x))(jax.random.key(0))[0]
    reach = (jnp.abs(response) > 0).any(axis=0).sum(axis=0)  # columns that each channel reaches
    np.testing.assert_array_equal(reach, [5] * 2 + [13] * 6 + [23] * 8)


def test_pooling_does_not_count_what_lies_outside():
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    out = pool(x)
    np.testing.assert_allclose(out[:, 0, 0], x[:, :2, :2].mean((1, 2)) - x[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(out[:, 3, 2], x[:, 2:, 1:4].mean((1, 2)) - x[:, 3, 2], atol=1e-6)
    np.testing.assert_allclose(out[:, 1, 4], x[:, :3, 3:].mean((1, 2)) - x[:, 1, 4], atol=1e-6)
    np.testing.assert_allclose(pool(jnp.ones((1, 4, 6, 3))), jnp.zeros((1, 4, 6, 3)), atol=1e-6)


def test_the_mixer_fits_one_size_of_frame(initial):
    pixels = initial["simvp_mlp"]["pixels"]
    assert pixels["expand"]["kernel"].shape == (4 * 6, 64 // 2)
    assert pixels["contract"]["kernel"].shape == (64 // 2, 4 * 6)
    config, weights, _ = load("simvp_mlp")
    with pytest.raises(ValueError, match=r"mlp_tokens.fc1.weight \(16, 64\), expected \(16, 96\)"):
        from_openstl({**config, "in_shape": [4, 2, 16, 24]}, weights)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("simvp_hornet", {"hid_T": 12}, "hid_T = 12 must be divisible by 8.*halve the width"),
        ("simvp_hornet", {"hid_S": 10}, r"T \* hid_S = 30 must be divisible by 8"),
        ("simvp_moga", {"hid_T": 20}, "hid_T = 20 must be divisible by 8.*1 : 3 : 4"),
        ("simvp_moga", {"hid_S": 4}, r"T \* hid_S = 12 must be divisible by 8"),
        ("simvp_mlp", {"hid_T": 1}, "hid_T = 1 must be at least 2"),
        ("simvp_van", {"N_T": 1}, "N_T = 1 must be at least 2"),
    ],
)
def test_impossible_settings_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create(name, (3, 8, 12, 2), **{"N_S": 2, **settings})
