"""SwinLSTM equals OpenSTL's; what it leaves out of that by default is what nothing uses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from golden_files import check_unrolled, load, parameters

from pdr_jax import backbones, interop
from pdr_jax.backbones.layers.patch_grid import PatchExpand, PatchMerge

SMALL_B = {"embed_dim": 16, "depths": 4, "num_heads": 2}
SMALL_D = {
    "embed_dim": 16,
    "depths_downsample": (1, 2),
    "depths_upsample": (2, 3),
    "num_heads": (2, 4),
}


def shapes(name, in_shape, **settings):
    """The variables' paths and shapes."""
    module = backbones.create(name, in_shape, **settings)
    frames = jax.ShapeDtypeStruct((1, *in_shape), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), frames)


def test_one_cell_equals_openstl():
    config, weights, arrays = load("swinlstm_b")
    check_unrolled(config | {"method": "SwinLSTM_B"}, weights, arrays)


def test_pyramid_equals_openstl():
    config, weights, arrays = load("swinlstm_d")
    lists = {"depths_downsample": "2,2", "depths_upsample": "2,2", "num_heads": "2,4"}
    config |= {"method": "SwinLSTM_D"} | lists
    check_unrolled(config, weights, arrays)
    module, _ = interop.from_openstl(config, weights)
    assert interop.family(config).config(module) == lists


@pytest.mark.parametrize(
    ("name", "in_shape", "settings", "count"),
    [
        ("swinlstm_d", (10, 64, 64, 1), {}, 20_191_969),
        ("swinlstm_b", (4, 256, 256, 3), {}, 2_781_747),
        # TaxiBJ and KTH in VMRNN's comparison, 2.9 M there for the former.
        ("swinlstm_b", (4, 32, 32, 2), {"patch_size": 4, "window_size": 8}, 2_939_442),
        ("swinlstm_b", (10, 128, 128, 1), {"depths": 6, "num_heads": 8}, 1_391_409),
    ],
)
def test_published_sizes(name, in_shape, settings, count):
    assert parameters(shapes(name, in_shape, faithful=True, **settings)) == count


@pytest.mark.parametrize(
    ("name", "settings", "spare"),
    [
        # Blocks 0 and 2 join something: the hidden state, and the cell's input.
        ("swinlstm_b", SMALL_B, {"cell/spare_1", "cell/spare_3"}),
        (
            "swinlstm_d",
            SMALL_D,
            {"spare_embed", "spare_embed/norm", "down_1/spare_1", "up_0/spare_1", "up_1/spare_1"},
        ),
    ],
)
def test_only_what_is_never_used_is_left_out(name, settings, spare):
    def found(faithful):
        variables = shapes(name, (2, 32, 32, 1), faithful=faithful, **settings)
        return {path.rpartition("/")[0] for path in flatten_dict(variables["params"], sep="/")}

    assert found(True) - found(False) == spare
    assert found(False) < found(True)


def test_stochastic_depth_falls_on_the_way_up_as_it_grows_on_the_way_down():
    module = backbones.create("swinlstm_d", (2, 32, 32, 1), **SMALL_D, drop_path_rate=0.4)
    cells = {stage.name: stage.drop_path for stage in module.stages()}
    assert list(cells) == ["down_0", "down_1", "up_0", "up_1"]
    assert cells["down_0"] == (0,)
    np.testing.assert_allclose(cells["down_1"], (0.2, 0.4))
    np.testing.assert_allclose(cells["up_0"], (0.4, 0.3, 0.2))
    np.testing.assert_allclose(cells["up_1"], (0.1, 0))
    one = backbones.create("swinlstm_b", (2, 32, 32, 1), **SMALL_B, drop_path_rate=0.4)
    assert one.stages()[0].drop_path == (0.4,) * 4


def test_windows_as_wide_as_the_grid_are_still_shifted_along_its_height():
    def shifts(**settings):
        module = backbones.create("swinlstm_d", (2, 32, 16, 1), **SMALL_D, **settings)
        return [module.windows(stage, 1).shift[1:] for stage in module.stages()]

    # Grids of 16x8, 8x4 and 4x2 patches, the last in windows of 2x2.
    assert shifts() == [(2, 2), (2, 0), (1, 0), (2, 0)]
    assert shifts(faithful=True) == [(2, 2), (0, 0), (0, 0), (0, 0)]


@pytest.mark.parametrize("patch_size", [2, 4, 8])
def test_a_frame_has_the_size_of_a_frame(patch_size):
    module = backbones.create("swinlstm_b", (2, 32, 64, 3), **SMALL_B, patch_size=patch_size)
    frames = jax.ShapeDtypeStruct((1, *module.in_shape), jnp.float32)
    out, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), frames)
    assert out.shape == frames.shape


def test_merging_and_expanding_keep_cells_in_their_places():
    grid = jax.random.normal(jax.random.key(0), (1, 4, 6, 8))
    changed = grid.at[:, 2:, :2].add(1.0)
    for layer in PatchMerge(), PatchExpand():
        variables = layer.init(jax.random.key(1), grid)
        before, after = layer.apply(variables, grid), layer.apply(variables, changed)
        rows, columns = before.shape[1] // 2, before.shape[2] // 3
        moved = np.abs(after - before).max(axis=(0, 3)) > 0
        assert moved[rows:, :columns].all()
        assert moved.sum() == rows * columns


@pytest.mark.parametrize(
    ("name", "in_shape", "fields", "message"),
    [
        ("swinlstm_b", (2, 32, 32, 1), {"patch_size": 3}, "patch_size = 3 must be a power of 2"),
        ("swinlstm_b", (2, 32, 32, 1), {"patch_size": 1}, "patch_size = 1 must be at least 2"),
        ("swinlstm_b", (2, 32, 36, 1), {}, "W = 36 must be divisible by 8 .windows of 4x4 patches"),
        ("swinlstm_b", (2, 33, 32, 1), {}, "H = 33 must be divisible by 2 .patch_size"),
        ("swinlstm_b", (2, 32, 32, 1), {"num_heads": 3}, "embed_dim = 16 must be divisible by 3"),
        ("swinlstm_b", (2, 32, 32, 1), {"window_size": 1}, "window_size = 1 must be at least 2"),
        ("swinlstm_b", (2, 32, 32, 1), {"depths": 0}, "depths = 0 must be at least 1"),
        (
            "swinlstm_b",
            (2, 32, 32, 1),
            {"patch_size": 4, "embed_dim": 24},
            "embed_dim = 24 must be divisible by 16 .norms where patch_size > 2",
        ),
        ("swinlstm_d", (2, 32, 36, 1), {}, "W = 36 must be divisible by 8 .patch_size = 2, halved"),
        ("swinlstm_d", (2, 32, 40, 1), {}, "W = 40 must be divisible by"),
        ("swinlstm_d", (2, 32, 32, 1), {"num_heads": (2,)}, r"num_heads = \(2,\) must be as long"),
        ("swinlstm_d", (2, 32, 32, 1), {"depths_upsample": (2,)}, "depths_upsample = .* as long"),
        ("swinlstm_d", (2, 32, 32, 1), {"depths_upsample": (2, 0)}, r"depths_upsample\[1\] = 0"),
        ("swinlstm_d", (2, 32, 32, 1), {"drop_path_rate": 1.0}, r"drop_path_rate = 1.0"),
    ],
)
def test_impossible_settings_are_refused(name, in_shape, fields, message):
    small = SMALL_B if name == "swinlstm_b" else SMALL_D
    with pytest.raises(ValueError, match=message):
        backbones.create(name, in_shape, **small | fields)


@pytest.mark.parametrize("field", ["num_heads", "depths_downsample", "depths_upsample"])
def test_a_number_for_a_list_is_refused(field):
    with pytest.raises(TypeError, match=f"{field} = 2 must be a tuple"):
        backbones.create("swinlstm_d", (2, 32, 32, 1), **SMALL_D | {field: 2})
