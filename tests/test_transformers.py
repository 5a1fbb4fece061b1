"""SimVP with the translators that have attention: Swin Transformer, UniFormer, ViT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import check_simvp, parameters

from pdr_jax import backbones
from pdr_jax.backbones.layers.attention import score
from pdr_jax.backbones.layers.windows import Windowing, merge, partition, shift_mask, windowing

SMALL = {"hid_S": 4, "hid_T": 16, "N_S": 2, "N_T": 3}


@pytest.mark.parametrize("name", ["simvp_swin", "simvp_uniformer", "simvp_vit"])
def test_outputs_equal_openstl(name):
    check_simvp(name)


TAXIBJ = {"in_shape": (4, 32, 32, 2), "hid_S": 32, "hid_T": 256, "N_S": 2, "N_T": 8}
WEATHER = {**TAXIBJ, "in_shape": (12, 32, 64, 1)}
KTH = {"in_shape": (10, 128, 128, 1), "hid_S": 64, "hid_T": 256, "N_S": 2, "N_T": 6}
HUMAN = {"in_shape": (4, 256, 256, 3), "hid_S": 64, "hid_T": 512, "N_S": 4, "N_T": 8}
MNIST = {**HUMAN, "in_shape": (10, 64, 64, 1)}


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("simvp_swin", TAXIBJ, 9_660_834),
        ("simvp_swin", WEATHER, 12_417_633),
        ("simvp_swin", KTH, 15_331_953),
        ("simvp_swin", HUMAN, 38_825_283),
        ("simvp_swin", MNIST, 46_105_409),
        ("simvp_uniformer", TAXIBJ, 9_525_346),
        ("simvp_uniformer", WEATHER, 12_028_705),
        ("simvp_uniformer", {**KTH, "N_T": 4}, 11_785_793),
        ("simvp_uniformer", HUMAN, 38_229_763),
        ("simvp_uniformer", MNIST, 44_834_817),
        ("simvp_vit", TAXIBJ, 9_657_698),
        ("simvp_vit", WEATHER, 12_414_497),
        ("simvp_vit", {**KTH, "N_T": 4}, 12_699_457),
        ("simvp_vit", {**HUMAN, "hid_T": 256}, 11_003_651),
        ("simvp_vit", MNIST, 46_102_273),
    ],
)
def test_published_sizes(name, settings, count):
    module = backbones.create(name, **settings)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == count


def test_scores_are_not_rounded_to_bfloat16():
    q, k = (jax.random.normal(jax.random.key(i), (2, 5, 64), jnp.bfloat16) for i in range(2))
    scores = score(q, k)
    assert scores.dtype == jnp.float32
    exact = score(q.astype(jnp.float32), k.astype(jnp.float32))
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)


def test_windows_tile_the_grid():
    grid = jnp.arange(2 * 4 * 6).reshape(2, 4, 6, 1)
    windows = partition(grid, 2)
    assert windows.shape == (2, 6, 4, 1)
    np.testing.assert_array_equal(windows[0, 4, :, 0], [14, 15, 20, 21])  # row 2, column 2
    np.testing.assert_array_equal(merge(windows, 2, 4), grid)


def test_windows_that_fill_the_grid_are_not_shifted():
    assert windowing(8, 12, 4, shifted=True) == Windowing(4, 2)
    assert windowing(8, 12, 4, shifted=False) == Windowing(4, 0)
    assert windowing(4, 12, 4, shifted=True) == Windowing(4, 0)
    assert windowing(12, 2, 4, shifted=True) == Windowing(2, 0)


def test_the_mask_parts_what_was_not_adjacent_before_the_shift():
    height, width, windows = 4, 6, Windowing(2, 1)
    row, column = np.indices((height, width))
    shifted = np.roll(np.stack([row, column], -1), (-1, -1), (0, 1))
    origin = np.asarray(partition(shifted[None], 2))[0]
    distance = np.abs(origin[:, :, None] - origin[:, None, :]).max(axis=-1)
    np.testing.assert_array_equal(shift_mask(height, width, windows) < 0, distance > 1)


def test_borders_meet_in_shifted_windows_only_when_faithful():
    def reach(latent, changed):
        """Rows of the translated frame that differ."""
        translate = jax.jit(lambda latent: module.apply(variables, latent, method="translate"))
        return np.abs(translate(changed) - translate(latent)).max(axis=(0, 1, 3, 4)) > 0

    module = backbones.create("simvp_swin", (2, 32, 32, 1), **SMALL)
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, *module.in_shape)))
    latent = jnp.zeros((1, 2, 16, 16, 4))
    changed = latent.at[:, :, 0].set(jax.random.normal(jax.random.key(1), (1, 2, 16, 4)))
    # The first block brings row 0 to rows 0..3, the second, shifted, to 0..5, the third to 0..7.
    near = np.arange(16) < 8
    np.testing.assert_array_equal(reach(latent, changed), near)
    # Rows 0 and 1 share the second block's last windows with rows 14 and 15.
    module = module.clone(faithful=True)
    np.testing.assert_array_equal(reach(latent, changed), near | (np.arange(16) >= 12))


def test_uniformer_is_local_where_the_width_changes():
    def kinds(**settings):
        module = backbones.create("simvp_uniformer", (4, 16, 16, 1), **{**SMALL, **settings})
        frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
        translator = jax.eval_shape(module.init, jax.random.key(0), frames)["params"]["translator"]
        return ["transformer" in translator[f"block_{i}"] for i in range(module.N_T)]

    assert kinds(hid_T=32) == [False, True, False]
    assert kinds(hid_T=16) == [False, True, True]


@pytest.mark.parametrize(
    ("name", "in_shape", "settings", "message"),
    [
        ("simvp_swin", (4, 32, 36, 1), {}, "W = 36 must be divisible by 8 .*4x4 pixels at 1/2"),
        ("simvp_swin", (4, 36, 32, 1), {}, "in_shape's H = 36"),
        ("simvp_swin", (3, 32, 32, 1), {}, "hid_S = 12 must be divisible by 8"),
        ("simvp_vit", (4, 32, 32, 1), {"hid_T": 20}, "hid_T = 20 must be divisible by 8"),
        ("simvp_uniformer", (4, 32, 32, 1), {"hid_T": 20}, "hid_T = 20 must be divisible by 8"),
    ],
)
def test_impossible_settings_are_refused(name, in_shape, settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create(name, in_shape, **{**SMALL, **settings})
