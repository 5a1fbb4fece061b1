"""WaST: the public code's outputs and loss, the wavelet, and what is corrected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones.layers.conv3d import conv_of_frames, xla_conv3d
from pdr_jax.backbones.layers.wavelet import haar, inverse_haar
from pdr_jax.backbones.wast import Embedding, TimeFrequencyBlock, multiple_of_8
from pdr_jax.interop import from_openstl
from pdr_jax.losses_wavelet import high_frequency_focal


@pytest.mark.rest
def test_outputs_equal_openstl():
    config, weights, arrays = load("wast")
    module, variables = from_openstl(config, weights)
    assert module.faithful
    with jax.default_matmul_precision("highest"):
        value = jax.jit(module.apply)(variables, channels_last(arrays["input"]))
    assert relative_error(value, channels_last(arrays["output"])) < 1e-5
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


def test_parameter_count_at_the_published_size():
    module = backbones.create("wast", (4, 32, 32, 2))
    frames = jax.ShapeDtypeStruct((1, 4, 32, 32, 2), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == 5_132_822


@pytest.mark.rest
def test_odd_sizes_are_extended_by_a_copy_and_cropped():
    settings = {"encoder_dim": 1, "block_list": (1, 1, 1), "mlp_ratio": 1.0}
    odd, even = (backbones.create("wast", s, **settings) for s in ((3, 7, 6, 1), (4, 8, 6, 1)))
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.uniform(size=(2, 3, 7, 6, 1)), jnp.float32)
    shapes = jax.eval_shape(odd.init, jax.random.key(0), frames)
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.1, 1, leaf.shape)), shapes)
    extended = jnp.pad(frames, ((0, 0), (0, 1), (0, 1), (0, 0), (0, 0)), mode="edge")
    value = jax.jit(odd.apply)(variables, frames)
    expected = jax.jit(even.apply)(variables, extended)[:, :3, :7]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_only_the_corrected_second_branch_has_a_scale_of_its_own():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 4, 5, 3)), jnp.float32)
    blocks = {f: TimeFrequencyBlock(3, 1.0, 0.0, faithful=f) for f in (False, True)}
    variables = blocks[False].init(jax.random.key(0), x, False)
    outputs = {f: block.apply(variables, x, False) for f, block in blocks.items()}
    np.testing.assert_array_equal(outputs[True], outputs[False])  # they start alike

    doubled = dict(variables["params"], scale_2=2 * variables["params"]["scale_2"])
    changed = {
        f: block.apply({**variables, "params": doubled}, x, False) for f, block in blocks.items()
    }
    np.testing.assert_array_equal(changed[True], outputs[True])
    assert jnp.abs(changed[False] - outputs[False]).max() > 1e-4


@pytest.mark.parametrize(("axes", "constant"), [((3, 2, 1), 1), ((1, 2, 3), 3)])
def test_what_follows_in_time_are_bands_of_time_if_corrected_else_of_width(axes, constant):
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.uniform(size=(1, 4, 4, 4, 1)).take([0], constant), 4, constant)
    module = Embedding(2, axes)
    x = jnp.asarray(frames, jnp.float32)
    variables = module.init(jax.random.key(0), x, x, False)
    _, seen = module.apply(
        variables, x, x, False, capture_intermediates=lambda m, _: m.name == "embed", mutable=True
    )
    embedded = seen["intermediates"]["embed"]["__call__"][0]
    bias = variables["params"]["embed"]["bias"]
    last = embedded[:, -1]  # a convolution of high bands only
    np.testing.assert_allclose(last, jnp.broadcast_to(bias, last.shape), atol=1e-6)
    assert jnp.abs(embedded[:, 0] - bias.reshape(1, 1, 1, -1)).max() > 0.1


def test_haar_is_orthonormal_and_inverted():
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 8, 3)).astype(np.float32)
    for axes in ((1, 2, 3), (3, 2, 1), (2, 3), (0,)):
        bands = haar(jnp.asarray(x), axes)
        assert len(bands) == 2 ** len(axes)
        np.testing.assert_allclose(inverse_haar(bands, axes), x, atol=1e-6)
        energy = sum(jnp.square(band).sum() for band in bands)
        np.testing.assert_allclose(energy, np.square(x).sum(), rtol=1e-6)


def test_bands_are_in_binary_order():
    ramp = jnp.arange(4.0).reshape(1, 4) + jnp.zeros((2, 1))
    low_low, low_high, high_low, high_high = haar(ramp, (0, 1))
    np.testing.assert_allclose(low_low, [[1, 5]], rtol=1e-6)
    np.testing.assert_allclose(low_high, [[-1, -1]], rtol=1e-6)
    for zero in (high_low, high_high):
        np.testing.assert_allclose(zero, [[0, 0]], atol=1e-6)
    with pytest.raises(ValueError, match=r"\(3, 4\) is odd along axis 0"):
        haar(jnp.zeros((3, 4)), (0, 1))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups"),
    [((3, 3, 3, 4, 6), 1, 1, 1), ((3, 3, 5, 2, 6), 2, 1, 2), ((2, 1, 3, 4, 3), 1, 0, 1)],
)
def test_a_3d_convolution_as_2d_ones(kernel, stride, padding, groups):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(rng.standard_normal(s)) for s in ((2, 3, 6, 8, 4), kernel)]
        forms = [
            functools.partial(form, stride=stride, time_padding=padding, groups=groups)
            for form in (conv_of_frames, xla_conv3d)
        ]
        (ours, vjp), (theirs, their_vjp) = (jax.vjp(form, *arrays) for form in forms)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        for got, expected in zip(vjp(ours), their_vjp(ours), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-10)


def test_the_loss_and_its_gradient_equal_openstl():
    _, _, arrays = load("wast")
    prediction, target = (channels_last(arrays[f"hffl/{key}"]) for key in ("prediction", "target"))
    value, gradient = jax.value_and_grad(high_frequency_focal)(prediction, target)
    np.testing.assert_allclose(value, arrays["hffl/value"], rtol=1e-5)
    expected = channels_last(arrays["hffl/gradient"])
    assert relative_error(gradient, expected) < 1e-5
    odd = high_frequency_focal(prediction[..., :19, :31, :], target[..., :19, :31, :])
    np.testing.assert_allclose(odd, arrays["hffl/value_odd"], rtol=1e-5)


def test_the_loss_of_equal_frames():
    clip = jnp.ones((1, 2, 6, 6, 1), jnp.bfloat16)
    value, gradient = jax.value_and_grad(high_frequency_focal)(clip, clip)
    assert value.dtype == jnp.float32
    assert value == 0
    assert (gradient == 0).all()
    with pytest.raises(ValueError, match="expected equal shapes"):
        high_frequency_focal(clip, clip[:, :1])


def test_widths_are_rounded_as_mobilenet_does():
    assert [multiple_of_8(width) for width in (1, 12, 18, 32, 60)] == [8, 16, 24, 32, 64]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder_dim": 0}, "encoder_dim = 0 must be at least 1"),
        ({"block_list": (2, 2)}, r"block_list = \(2, 2\) must have three"),
        ({"block_list": (2, 0, 2)}, r"block_list\[1\] = 0 must be at least 1"),
        ({"mlp_ratio": 0.0}, "mlp_ratio = 0.0 must be greater than 0"),
        ({"drop_path": 1.0}, r"drop_path = 1.0 must be in \[0, 1\)"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("wast", (4, 8, 8, 1), **settings)
