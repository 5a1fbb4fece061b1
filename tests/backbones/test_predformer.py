"""PredFormer in its nine variants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones, interop
from pdr_jax.backbones.predformer import sinusoid


def golden(variant):
    """As `load`; PredFormer's configurations do not name the method."""
    config, weights, arrays = load(f"predformer_{variant}")
    return {"method": "PredFormer", **config}, weights, arrays


@pytest.mark.parametrize(
    "variant",
    [
        "fullattention",
        "facst",
        "facts",
        "binary_st",
        "binary_ts",
        "triplet_sts",
        "triplet_tst",
        "quadruplet_stts",
        "quadruplet_tsst",
    ],
)
def test_outputs_equal_the_public_code(variant):
    config, weights, arrays = golden(variant)
    module, variables = interop.from_openstl(config, weights)
    with jax.default_matmul_precision("highest"):
        output = jax.jit(module.apply)(variables, channels_last(arrays["input"]))
    assert relative_error(output, channels_last(arrays["output"])) < 1e-5
    assert parameters(variables) == config["n_params"]
    table = arrays["pos_embedding"].reshape(-1, config["dim"])
    np.testing.assert_allclose(sinusoid(*table.shape), table, atol=1e-6)
    check_round_trip(config, weights)


TAXIBJ = {"in_shape": (4, 32, 32, 2), "patch_size": 4, "scale_dim": 4}
WEATHER = {"in_shape": (12, 32, 64, 1), "patch_size": 4, "scale_dim": 2}
HUMAN = {"in_shape": (4, 256, 256, 3), "patch_size": 8, "scale_dim": 4}
MNIST = {"in_shape": (10, 64, 64, 1), "patch_size": 8, "scale_dim": 4}


@pytest.mark.parametrize(
    ("settings", "variant", "depth", "count"),
    [
        (TAXIBJ, "triplet_sts", 3, 9_491_232),
        (TAXIBJ, "triplet_sts", 2, 6_333_216),
        (TAXIBJ, "binary_st", 4, 8_438_560),
        (WEATHER, "fac_ts", 4, 5_273_360),
        (HUMAN, "quadruplet_tsst", 3, 12_731_328),
        (MNIST, "quadruplet_tsst", 6, 25_297_728),
    ],
)
def test_published_sizes(settings, variant, depth, count):
    assert size(variant=variant, Ndepth=depth, **settings) == count


@pytest.mark.parametrize(
    ("settings", "variant", "depth", "millions"),
    [
        (TAXIBJ, "full_attention", 8, 8.4),
        (TAXIBJ, "fac_st", 4, 8.4),
        (TAXIBJ, "quadruplet_stts", 2, 8.4),
        (WEATHER, "binary_ts", 4, 5.3),
        (WEATHER, "triplet_tst", 2, 4.0),
        (HUMAN, "triplet_tst", 4, 12.7),
    ],
)
def test_published_sizes_in_millions(settings, variant, depth, millions):
    assert abs(size(variant=variant, Ndepth=depth, **settings) / 1e6 - millions) < 0.05


def size(**settings):
    module = backbones.create("predformer", **settings)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    return parameters(jax.eval_shape(module.init, jax.random.key(0), frames))


def test_faithful_fac_st_draws_patches_elsewhere():
    config, weights, arrays = golden("facst")
    module, variables = interop.from_openstl(config, weights)
    assert module.faithful
    right = jax.jit(module.clone(faithful=False).apply)(variables, channels_last(arrays["input"]))

    def tokens(clip):
        """(B, T, rows, columns, 4, 4, C) patches, as (B, T, places, pixels)."""
        patches = clip.reshape(2, 4, 4, 4, 6, 4, 2).swapaxes(3, 4)
        return patches.reshape(2, 4, 24, -1)

    expected = tokens(np.asarray(right)).swapaxes(1, 2).reshape(2, 4, 24, -1)
    np.testing.assert_allclose(tokens(channels_last(arrays["output"])), expected, atol=1e-5)


def test_a_layer_may_add_its_input():
    config, weights, _ = golden("binary_ts")
    module, variables = interop.from_openstl(config, weights)
    module = module.clone(Ndepth=1)

    @jax.jit
    def added(tokens):
        def encode(module):
            return module.apply(variables, tokens, method=lambda m, x: m.encoder(x, train=False))

        return encode(module.clone(residual=True)) - encode(module)

    tokens = np.random.default_rng(0).normal(size=(1, 2, 4, 32)).astype(np.float32)
    np.testing.assert_allclose(added(tokens), tokens, atol=1e-5)


def test_a_configuration_of_the_public_code_is_read():
    config, weights, _ = golden("facts")
    inner = {k: v for k, v in config.items() if k not in ("method", "variant", "in_shape")}
    nested = {"method": "PredFormer", "variant": "FacTS", "model_config": inner}
    module, _ = interop.from_openstl(nested, weights)
    assert module.in_shape == (4, 16, 24, 2)
    assert (module.variant, module.dim, module.Ndepth) == ("fac_ts", 32, 2)
    exported = interop.family(config).config(module)
    assert exported == {key: config[key] for key in exported}
    with pytest.raises(ValueError, match="do not say which file was imported: add one of FullAtt"):
        interop.from_openstl({"method": "PredFormer", **inner}, weights)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "binary"}, "variant = 'binary' must be one of full_attention, fac_st"),
        ({"patch_size": 5}, "in_shape's H = 16 must be divisible by 5 .patch_size"),
        ({"heads": 0}, "heads = 0 must be at least 1"),
        ({"dropout": 1.0}, "dropout = 1.0 must be in"),
        ({"variant": "fac_ts", "residual": True}, "fac_ts does not have"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("predformer", (4, 16, 20, 2), **settings)
