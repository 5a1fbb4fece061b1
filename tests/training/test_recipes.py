"""Recipes: published settings, JSON, refusals."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdr_datasets
from pdr_jax import backbones, recipes
from pdr_jax.benchmarks import BENCHMARKS
from pdr_jax.recipes import Recipe

# OpenSTL model zoo: parameters of TAU at the size of each benchmark.
PUBLISHED = {
    "taxibj": 9_545_442,
    "weatherbench": 12_219_553,
    "kth": 14_955_201,
    "human36m": 37_647_363,
}


def shapes(recipe, frame_shape):
    model = recipe.build(frame_shape)
    clip = jax.ShapeDtypeStruct((1, recipe.in_length, *frame_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(model.init, key, clip)["params"]


def size(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    frame_shape = BENCHMARKS[name].frame_shape
    params = shapes(recipes.create(name, adapter="none"), frame_shape)
    assert set(params) == {"backbone"}
    assert size(params) == PUBLISHED[name]


def test_moving_mnist_has_the_published_size():
    """The zoo's table says 44.7M."""
    params = shapes(recipes.create("moving_mnist", adapter="none"), (64, 64, 1))
    assert round(size(params) / 1e6, 1) == 44.7


@pytest.mark.parametrize("name", BENCHMARKS)
def test_data_options_are_the_loaders(name):
    assert set(BENCHMARKS[name].data_options) - {"config"} <= set(pdr_datasets.options(name))


@pytest.mark.parametrize("name", ["taxibj", "kth"])
@pytest.mark.parametrize("adapter", ["predgs", "paper", "conv"])
def test_adapters_add_to_the_backbone(name, adapter):
    benchmark = BENCHMARKS[name]
    recipe = recipes.create(name, adapter=adapter)
    params = shapes(recipe, benchmark.frame_shape)
    assert size(params["backbone"]) == PUBLISHED[name]
    if adapter == "predgs":
        assert recipe.predgs.num_gaussians == 0  # one a pixel
        assert set(params["adapter"]) == {"motion", "changes"}
        return
    count = params["adapter"]["position_start"].shape[0]
    assert count >= benchmark.num_gaussians
    if adapter == "paper":
        assert count == benchmark.num_gaussians


def test_the_paper_preset_is_the_papers_recipe():
    """Settings table of the paper: AdamW with decay 1e-2, L1 + SSIM at 0.5, D, N and K."""
    recipe = recipes.create("kth", adapter="paper")
    assert (recipe.optimizer, recipe.weight_decay, recipe.decay) == ("adamw", 1e-2, "all")
    assert (recipe.loss, recipe.loss_options) == ("l1_ssim", {"weight": 0.5, "signed": True})
    assert (recipe.predgs.pool, recipe.predgs.num_gaussians, recipe.predgs.window) == (8, 400, 51)
    assert (recipe.fusion, recipe.fusion_init) == ("conv", "random")
    assert (recipe.in_length, recipe.out_length, recipe.epochs) == (10, 20, 100)


def test_the_plain_recipe_is_the_backbones():
    tau = recipes.create("taxibj", adapter="none")
    assert (tau.optimizer, tau.weight_decay, tau.loss) == ("adam", 0.0, "mse_ddr")
    assert (tau.schedule, tau.warmup_epochs, tau.learning_rate) == ("cosine", 5, 5e-4)
    assert recipes.create("taxibj", adapter="none", backbone="simvp_gsta").loss == "mse"


@pytest.mark.parametrize("adapter", ["none", "predgs"])
def test_small_frames_outlive_two_downsamplings(adapter):
    recipe = recipes.create("bikenyc", adapter=adapter)
    model, clip = recipe.build((16, 8, 2)), jnp.zeros((1, 4, 16, 8, 2))
    prediction, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), clip)
    assert prediction.shape == (1, 4, 16, 8, 2)


@pytest.mark.parametrize("adapter", recipes.ADAPTERS)
def test_json_round_trip(adapter):
    recipe = recipes.create("kth", adapter=adapter, data_dir="somewhere", seed=3)
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == dataclasses.replace(recipe, data_dir=again.data_dir)
    assert str(again.data_dir) == "somewhere"
    with pytest.raises(ValueError, match="no such fields in a recipe: sede"):
        Recipe.from_json({**recipe.to_json(), "sede": 1})


def test_a_recipe_from_before_tracked_gaussians_opens():
    recipe = recipes.create("kth", adapter="conv")
    fields = recipe.to_json()
    del fields["gate_start"], fields["predgs"]["tracking"], fields["predgs"]["contrast"]
    assert Recipe.from_json(fields) == recipe


def test_a_recipe_from_before_renderers_by_name_opens():
    recipe = recipes.create("kth")
    fields = recipe.to_json()
    assert (fields.pop("renderer"), fields.pop("ssim")) == ("auto", "auto")
    assert Recipe.from_json(fields) == recipe


def test_kernels_by_name_reach_the_model_and_the_loss(small_recipe):
    """Those of GPUs refuse a CPU, unless the run is opened to be used anywhere."""
    chosen = {"renderer": "pallas_mosaic", "loss": "l1_ssim", "ssim": "pallas_triton"}
    recipe = dataclasses.replace(small_recipe, loss_options={}, **chosen)
    with pytest.raises(NotImplementedError, match="pallas_mosaic: needs an NVIDIA GPU"):
        shapes(recipe, (16, 16, 1))
    clip = jnp.zeros((1, 1, 16, 16, 1))
    with pytest.raises(NotImplementedError, match="pallas_triton: needs an NVIDIA GPU"):
        recipe.build_loss((0.0, 1.0))(clip, clip)
    opened = recipe.portable()
    assert (opened.renderer, opened.ssim) == ("auto", "auto")
    assert opened.build((16, 16, 1)).implementation is None
    named = dataclasses.replace(recipe, renderer="xla", ssim="reference")
    assert named.portable() == named
    assert named.build((16, 16, 1)).implementation == "xla"


def test_a_recipe_from_before_signed_ssim_keeps_its_loss():
    fields = recipes.create("kth", loss_options={"weight": 0.1}).to_json()
    assert fields["loss_options"] == {"weight": 0.1, "signed": True}
    assert Recipe.from_json(fields).loss_options == fields["loss_options"]
    before = {**fields, "loss_options": {"weight": 0.5}}
    assert Recipe.from_json(before).loss_options == {"weight": 0.5, "signed": False}


def test_a_recipe_from_before_axes_keeps_its_layout():
    fields = recipes.create("arrays").to_json()
    del fields["data_options"]["axes"]
    fields["data_options"]["layout"] = "NTCHW"
    assert Recipe.from_json(fields).data_options["axes"] == "NTCHW"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "kht"}, "did you mean 'kth'"),
        ({"backbone": "tua"}, "did you mean 'tau'"),
        ({"adapter": "papr"}, "did you mean 'paper'"),
        ({"loss": "l1-ssim"}, "did you mean 'l1_ssim'"),
        ({"sed": 1}, "did you mean 'seed'"),
        ({"batch_size": 0}, "batch_size=0: expected 1 or more"),
        ({"holdout": 1.0}, "holdout=1.0"),
        ({"ema_decay": -0.1}, "ema_decay=-0.1"),
        ({"steps": -1}, "steps=-1"),
        ({"steps": 2**31}, "steps=2147483648: expected at most 2147483647"),
        ({"seed": -1}, "seed=-1: expected 0 or more"),
        ({"learning_rate": float("nan")}, "learning_rate=nan: expected a finite number"),
        ({"schedule": "linear"}, "schedule='linear': expected one of onecycle, cosine, constant"),
        ({"renderer": "cuda"}, "renderer='cuda': expected one of auto, reference, xla, pallas_tri"),
        ({"ssim": "pallas_mosaic"}, "ssim='pallas_mosaic': expected one of auto, reference, xla"),
        ({"loss_options": {"implementation": "xla"}}, "loss_options.implementation: expected none"),
        ({"in_length": 10**9}, "in_length=1000000000: expected 1 to 10000"),
        ({"loss_options": {"weigth": 0.5}}, "loss_options.weigth: expected an option of 'l1_ssim'"),
        ({"loss_options": {"data_range": 1.0}}, "loss_options.data_range: expected none"),
        ({"backbone_options": {"hid_s": 8}}, "backbone_options='hid_s' .did you mean 'hid_"),
        ({"backbone_options": {"hid_S": 10**9}}, "backbone_options.hid_S=1000000000: expected at"),
    ],
)
def test_bad_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipes.create(**{"dataset": "kth", **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 2.5}, "^batch_size=2.5: expected an integer"),
        ({"epochs": True}, "^epochs=True: expected an integer"),
        ({"augment": 1}, "^augment=1: expected true or false"),
        ({"data_dir": 3}, "^data_dir=3: expected a path"),
        ({"backbone": None}, "^backbone=None: expected a text"),
        ({"data_options": [1]}, r"^data_options=\[1\]: expected a JSON object"),
        ({"predgs": {"pool": "2"}}, "^predgs.pool='2': expected an integer"),
        ({"predgs": {"scale_start": [1]}}, r"^predgs.scale_start=\(1,\): expected 2 values"),
        ({"predgs": {"tracking": {"speed": None}}}, "^predgs.tracking.speed=None: expected a num"),
        ({"predgs": {"tracking": {"sped": 1}}}, "^predgs.tracking: no such fields .*: sped"),
    ],
)
def test_recipes_of_the_wrong_types_are_refused(change, message):
    fields = recipes.create("kth").to_json()
    with pytest.raises((TypeError, ValueError), match=message):
        Recipe.from_json({**fields, **change})


@pytest.mark.parametrize("name", ["predgs", "epochs", "loss_options"])
def test_a_recipe_without_a_field_is_refused(name):
    fields = recipes.create("kth").to_json()
    del fields[name]
    with pytest.raises(TypeError, match=f"^{name} is missing"):
        Recipe.from_json(fields)


def test_frames_that_do_not_fit_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"H = 31 must be .* set data_options.crop or data_opt"):
        recipes.create("arrays").build((31, 32, 1))
    with pytest.raises(ValueError, match=r"H = 31 must be .* lower N_S\)$"):
        recipes.create("kth").build((31, 32, 1))
    with pytest.raises(
        ValueError, match=r"^predgs\.pool=8: expected a divisor of the frame's height 4"
    ):
        recipes.create("kth", adapter="conv").build((4, 4, 1))


def test_rounding_of_the_number_of_gaussians_is_told():
    recipe = recipes.create("kth", adapter="conv")
    assert "num_gaussians=400 is rounded up to 512" in recipe.gaussians_note((128, 128, 1))
    assert recipes.create("kth", adapter="paper").gaussians_note((128, 128, 1)) == ""
    assert recipes.create("kth", adapter="none").gaussians_note((7, 7, 1)) == ""


def test_recurrent_backbones_are_trained_as_their_papers_do():
    assert recipes.create("taxibj", backbone="predrnnv2", adapter="none").sampling == "reverse"
    e3d = recipes.create("taxibj", backbone="e3dlstm", adapter="none")
    assert (e3d.sampling, e3d.loss, e3d.learning_rate) == ("scheduled", "mse_l1", 5e-3)
    taught = recipes.create("taxibj", backbone="phydnet").build_sampling(steps_per_epoch=100)
    np.testing.assert_allclose(taught.chances(jnp.array(10_000)).future, 0.7, rtol=1e-5)
    assert recipes.create("taxibj", backbone="tau").build_sampling(100) is None
    with pytest.raises(ValueError, match="tau predicts a whole clip at once"):
        recipes.create("taxibj", backbone="tau", sampling="scheduled")


def test_a_run_that_is_too_short_for_its_schedule_says_so():
    recipe = recipes.create("taxibj", backbone="convlstm", adapter="none")
    assert "last of 600 steps" in recipe.sampling_note(600, 60)
    assert "probability 0.99" in recipe.sampling_note(600, 60)
    assert recipe.sampling_note(60_000, 1278) == ""
    taught = recipes.create("taxibj", backbone="prednet", adapter="none")
    assert taught.sampling_note(600, 60) == recipes.create("taxibj").sampling_note(600, 60) == ""


def test_a_backbone_without_published_settings_gets_its_defaults():
    recipe = recipes.create("kth", backbone="predformer", adapter="none")
    assert (recipe.learning_rate, recipe.optimizer) == (1e-3, "adamw")
    assert recipe.epochs == BENCHMARKS["kth"].epochs


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_backbone_fits_every_benchmark(name):
    for backbone in backbones.names():
        recipe = recipes.create(name, backbone=backbone)
        recipe.build(BENCHMARKS[name].frame_shape)  # refuses impossible sizes
        recipe.build_loss((0.0, 1.0))
        recipe.build_sampling(steps_per_epoch=10)
