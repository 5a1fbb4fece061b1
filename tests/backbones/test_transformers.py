"""SimVP with the translators that have attention: Swin Transformer, UniFormer, ViT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import check_simvp, parameters

from pdr_jax import backbones
from pdr_jax.backbones.layers.attention import score
from pdr_jax.backbones.layers.cuboids import Cuboid, cut
from pdr_jax.backbones.layers.windows import added_mask, windowing

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


def test_windows_are_shifted_along_each_axis_that_they_do_not_span():
    def shift(height, width, **options):
        return windowing(height, width, 4, shifted=True, **options).shift[1:]

    assert windowing(8, 12, 4, shifted=False) == Cuboid((1, 4, 4))
    assert windowing(8, 12, 4, shifted=True) == Cuboid((1, 4, 4), (0, 2, 2))
    assert windowing(12, 2, 4, shifted=True) == Cuboid((1, 2, 2), (0, 1, 0))
    assert [shift(4, 12), shift(8, 4), shift(4, 4)] == [(0, 2), (2, 0), (0, 0)]
    there = [shift(*grid, faithful=True) for grid in ((4, 12), (8, 4), (4, 4), (8, 12))]
    assert there == [(0, 0), (0, 0), (0, 0), (2, 2)]


@pytest.mark.parametrize("shift", [(1, 1), (1, 0)])
def test_the_mask_parts_what_was_not_adjacent_before_the_shift(shift):
    height, width, windows = 4, 6, Cuboid((1, 2, 2), (0, *shift))
    row, column = np.indices((height, width))
    origin = np.asarray(cut(jnp.stack([row, column], -1)[None, None], windows))[0]
    distance = np.abs(origin[:, :, None] - origin[:, None, :]).max(axis=-1)
    np.testing.assert_array_equal(added_mask(windows, height, width) < 0, distance > 1)


def reached(module, variables, height, width):
    """Rows of the translated height x width frame that differ if its first row does."""
    latent = jnp.zeros((1, 2, height, width, 4))
    changed = latent.at[:, :, 0].set(jax.random.normal(jax.random.key(1), (1, 2, width, 4)))
    translate = jax.jit(lambda latent: module.apply(variables, latent, method="translate"))
    return np.abs(translate(changed) - translate(latent)).max(axis=(0, 1, 3, 4)) > 0


def test_borders_meet_in_shifted_windows_only_when_faithful():
    module = backbones.create("simvp_swin", (2, 32, 32, 1), **SMALL)
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, *module.in_shape)))
    # The first block brings row 0 to rows 0..3, the second, shifted, to 0..5, the third to 0..7.
    near = np.arange(16) < 8
    np.testing.assert_array_equal(reached(module, variables, 16, 16), near)
    # Rows 0 and 1 share the second block's last windows with rows 14 and 15.
    module = module.clone(faithful=True)
    met = near | (np.arange(16) >= 12)
    np.testing.assert_array_equal(reached(module, variables, 16, 16), met)


def test_windows_as_wide_as_the_frame_see_each_other_unless_faithful():
    module = backbones.create("simvp_swin", (2, 16, 8, 1), **SMALL)
    variables = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, *module.in_shape)))
    assert reached(module, variables, 8, 4).all()
    module = module.clone(faithful=True)
    np.testing.assert_array_equal(reached(module, variables, 8, 4), np.arange(8) < 4)


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
        ("simvp_swin", (4, 32, 36, 1), {}, "W = 36 must be divisible by 8 .*4x4 windows at 1/2"),
        ("simvp_swin", (4, 36, 32, 1), {}, "in_shape's H = 36"),
        ("simvp_swin", (3, 32, 32, 1), {}, "hid_S = 12 must be divisible by 8"),
        ("simvp_vit", (4, 32, 32, 1), {"hid_T": 20}, "hid_T = 20 must be divisible by 8"),
        ("simvp_uniformer", (4, 32, 32, 1), {"hid_T": 20}, "hid_T = 20 must be divisible by 8"),
    ],
)
def test_impossible_settings_are_refused(name, in_shape, settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create(name, in_shape, **{**SMALL, **settings})
