"""Earthformer: the public code's numbers and sizes, its cuboids, and what is corrected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones
from pdr_jax.backbones.layers.cuboids import (
    Cuboid,
    cut,
    join,
    offsets,
    relative_index,
    self_cuboids,
    shift_mask,
)
from pdr_jax.interop import family, from_openstl

SHAPE = (3, 8, 12, 1)  # T, H, W, C
SMALL = {
    "base_units": 16, "num_heads": 2, "enc_depth": (1,), "dec_depth": (2,),
    "num_global_vectors": 2, "self_pattern": "divided_st", "cross_self_pattern": "divided_st",
    "initial_downsample_scale": 4, "initial_downsample_conv_layers": 1,
    "attn_drop": 0.0, "proj_drop": 0.0, "ffn_drop": 0.0,
}  # fmt: skip
SEVIR = {
    "out_len": 12, "base_units": 128, "enc_depth": (1, 1), "dec_depth": (1, 1),
    "num_global_vectors": 8, "pos_embed_type": "t+h+w", "initial_downsample_type": "stack_conv",
    "initial_downsample_stack_conv_dim_list": (16, 64, 128),
    "initial_downsample_stack_conv_downscale_list": (3, 2, 2), "faithful": True,
}  # fmt: skip
SEVIR_LR = {
    "out_len": 6, "enc_depth": (1, 1), "dec_depth": (1, 1), "pos_embed_type": "t+h+w",
    "initial_downsample_type": "stack_conv", "faithful": True,
}  # fmt: skip
ENSO = {
    "out_len": 14, "enc_depth": (1, 1), "dec_depth": (1, 1), "pos_embed_type": "t+h+w",
    "initial_downsample_scale": (1, 1, 2), "faithful": True,
}  # fmt: skip


def frames():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(2, *SHAPE)), jnp.float32)


def shapes(module):
    """Shapes of the variables by path."""
    clip = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    init = functools.partial(module.init, horizon=module.clip_length)
    return flatten_dict(jax.eval_shape(init, jax.random.key(0), clip), sep="/")


def filled(shapes):
    """Random values for the initial ones, which take long to compile."""
    rng = np.random.default_rng(0)
    values = {k: rng.normal(k.endswith("scale"), 0.2, v.shape) for k, v in shapes.items()}
    return unflatten_dict({k: jnp.asarray(v, jnp.float32) for k, v in values.items()}, sep="/")


@pytest.mark.parametrize("name", ["earthformer", "earthformer_windows"])
@pytest.mark.rest
def test_outputs_equal_the_public_code(name):
    config, weights, arrays = load(name)
    module, variables = from_openstl(config, weights)
    with jax.default_matmul_precision("highest"):
        got = jax.jit(lambda v, x: module.apply(v, x, horizon=module.clip_length))(
            variables, channels_last(arrays["input"])
        )
    error = relative_error(got, channels_last(arrays["output"]))
    assert error < 1e-5, f"relative error {error:.1e}"
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)
    check_round_trip({**config, **family(config).config(module)}, weights)


@pytest.mark.parametrize(
    ("in_shape", "settings", "published"),
    [
        ((10, 64, 64, 1), {}, 6_702_109),  # Moving MNIST and N-body MNIST
        ((13, 384, 384, 1), SEVIR, 8_659_677),
        ((7, 128, 128, 1), SEVIR_LR, 1_505_069),
        ((12, 24, 48, 1), ENSO, 1_394_325),
    ],
)
def test_parameter_counts_are_those_of_the_public_configurations(in_shape, settings, published):
    module = backbones.create("earthformer", in_shape, **settings)
    assert sum(leaf.size for leaf in shapes(module).values()) == published


def test_faithful_has_the_parameters_that_nothing_needs():
    ours, theirs = (
        shapes(backbones.create("earthformer", SHAPE, **SMALL, out_len=4, faithful=faithful))
        for faithful in (False, True)
    )
    attention = "params/encoder/block_0_0/attention_1/"
    unused = {
        attention + f"{name}/linear/kernel"
        for name in ("vector_query", "token_key", "token_value", "vector_qkv")
    } | {attention + "vector_proj/kernel", attention + "vector_proj/bias"}
    assert theirs.keys() - ours.keys() == unused
    assert not ours.keys() - theirs.keys()
    # Cuboids as long as the clip that is decoded, or as the one that is encoded.
    table = "params/decoder/self_0_0/attention_0/position_bias/table"
    assert ours[table].shape == (2 * 4 - 1, 2)
    assert theirs[table].shape == (2 * 3 - 1, 2)


@pytest.mark.parametrize("out_len", [2, 4])
def test_passes_that_predict_fewer_or_more_frames_than_they_see(out_len):
    settings = SMALL | {"self_pattern": "full", "dec_depth": (1,)}
    module = backbones.create("earthformer", SHAPE, **settings, out_len=out_len)
    variables, clip = filled(shapes(module)), frames()
    apply = jax.jit(module.apply, static_argnames=("horizon", "train"))
    first = apply(variables, clip, horizon=out_len)
    second = apply(variables, jnp.concatenate([clip, first], 1)[:, -3:], horizon=out_len)
    expected = jnp.concatenate([first, second[:, :1]], axis=1)
    for train in (False, True):  # without dropout
        got = apply(variables, clip, horizon=out_len + 1, train=train)
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.rest
def test_every_parameter_learns_and_dropout_drops():
    settings = SMALL | {"attn_drop": 0.1, "proj_drop": 0.1, "ffn_drop": 0.1}
    module = backbones.create("earthformer", SHAPE, **settings)

    @jax.jit
    def gradient(variables, key):
        def loss(variables):
            out = module.apply(variables, frames(), train=True, rngs={"dropout": key})
            return jnp.square(out).mean()

        return jax.value_and_grad(loss)(variables)

    variables = filled(shapes(module))
    loss, gradients = gradient(variables, jax.random.key(0))
    for path, leaf in flatten_dict(gradients, sep="/").items():
        assert jnp.isfinite(leaf).all(), path
        assert jnp.abs(leaf).max() > 0, path
    assert gradient(variables, jax.random.key(1))[0] != loss


@pytest.mark.parametrize(("size", "shift"), [((2, 3, 4), (0, 0, 0)), ((2, 4, 4), (1, 2, 2))])
def test_cuboids_are_cut_and_joined(size, shift):
    x = np.random.default_rng(0).normal(size=(2, 3, 10, 8, 1)).astype(np.float32)
    cuboid = Cuboid(size, shift)
    tokens = cut(x, cuboid)
    assert tokens.shape[2] == np.prod(size)
    np.testing.assert_array_equal(join(tokens, cuboid, x.shape[1:4]), x)


def test_shifted_cuboids_mask_what_was_not_near():
    clip, cuboid = (4, 8, 8), Cuboid((2, 4, 4), (1, 2, 2))
    places = np.stack(np.meshgrid(*map(np.arange, clip), indexing="ij"), axis=-1)
    tokens = np.asarray(cut(places[None], cuboid))[0]
    apart = np.abs(tokens[:, :, None] - tokens[:, None])  # of tokens that share a cuboid
    near = (apart < np.array(cuboid.size)).all(axis=-1)
    np.testing.assert_array_equal(shift_mask(cuboid, clip), near)
    assert shift_mask(Cuboid((2, 4, 4)), clip) is None


def test_an_axis_that_a_cuboid_spans_is_not_shifted():
    assert Cuboid((2, 4, 4), (1, 2, 2)).within((2, 3, 8)) == Cuboid((2, 3, 4), (0, 0, 2))


def test_patterns():
    clip = (5, 8, 6)
    assert [c.size for c in self_cuboids("axial", clip)] == [(5, 1, 1), (1, 8, 1), (1, 1, 6)]
    assert [c.size for c in self_cuboids("divided_st", clip)] == [(5, 1, 1), (1, 8, 6)]
    assert self_cuboids("full", clip) == (Cuboid(clip),)
    assert self_cuboids("video_swin_10x8", clip)[1] == Cuboid((5, 6, 6), (2, 3, 3))
    assert self_cuboids("video_swin", clip) == self_cuboids("video_swin_2x4", clip)


def test_relative_index_numbers_offsets():
    index = relative_index((2, 3, 1))
    assert index.min() == 0
    assert index.max() == offsets((2, 3, 1)) - 1
    assert (np.diag(index) == index[0, 0]).all()
    assert index[0, 1] == index[4, 5]  # the same offset of rows
    assert index[0, 1] != index[1, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_units": 40}, "base_units = 40 must be divisible by 16"),
        ({"base_units": 16, "num_heads": 3}, "base_units = 16 must be divisible by 3"),
        ({"enc_depth": (1, 1)}, "enc_depth, dec_depth have 2, 1 elements"),
        ({"dec_depth": (0,)}, "dec_depth.* must be at least 1"),
        ({"out_len": 0}, "out_len = 0 must be at least 1"),
        ({"attn_drop": 1.0}, "attn_drop = 1.0"),
        ({"self_pattern": "axail"}, "self_pattern: attention pattern 'axail' is none of full"),
        ({"cross_pattern": "cross_1x2"}, "cross_pattern: attention pattern 'cross_1x2' is not"),
        ({"pos_embed_type": "thw"}, "pos_embed_type = 'thw' must be one of t\\+hw"),
        ({"initial_downsample_type": "pool"}, "initial_downsample_type = 'pool' must be one of"),
        ({"initial_downsample_scale": (2, 2, 2)}, "must be \\(1, rows, columns\\)"),
        ({"initial_downsample_type": "stack_conv"}, "must end with base_units = 16"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("earthformer", SHAPE, **SMALL | settings)


def test_a_depth_is_a_list():
    with pytest.raises(TypeError, match=r"enc_depth = 4 must be a tuple .* of integers"):
        backbones.create("earthformer", SHAPE, enc_depth=4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("use_dec_self_global", True), ("separate_global_qkv", False), ("auxiliary_channels", 7)],
)
def test_what_is_left_out_cannot_be_imported(field, value):
    config, weights, _ = load("earthformer")
    with pytest.raises(ValueError, match=f"config has {field}"):
        from_openstl({**config, field: value}, weights)
