import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdr_jax import PDR, PredGS, backbones, diagnostics, predgs
from pdr_jax.backbones import Forcing

T, H, W, C = 3, 8, 12, 2


def backbone(**changes):
    sizes = {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2, "drop_path": 0.0}
    return backbones.create("tau", in_shape=(T, H, W, C), **{**sizes, **changes})


def adapter(preset="robust"):
    return PredGS(predgs.create(preset, num_gaussians=24, window=7, pool=4, hidden=8))


@pytest.fixture(scope="module")
def frames():
    return jax.random.uniform(jax.random.key(0), (2, T, H, W, C))


def initialise(model, frames):
    return jax.jit(model.init)(jax.random.key(1), frames)


@functools.partial(jax.jit, static_argnums=(0, 3))
def apply(model, variables, frames, horizon=T):
    """Everything between the frames and the prediction, and the prediction by itself."""
    output = model.apply(variables, frames, horizon, method="decompose")
    return output, model.apply(variables, frames, horizon)


@pytest.fixture(scope="module")
def made(frames):
    """PDR at its pass-through start, and its variables."""
    model = PDR(backbone(), adapter(), fusion_init="pass_through")
    return model, initialise(model, frames)


def test_without_adapter_it_is_the_plain_predictor_exactly(frames):
    plain = backbone()
    variables = initialise(plain, frames)
    wrapped = {name: {"backbone": tree} for name, tree in variables.items()}
    model = PDR(plain)
    want = jax.jit(plain.apply)(variables, frames)
    output, prediction = apply(model, wrapped, frames)
    np.testing.assert_array_equal(prediction, want)
    assert diagnostics.describe({}, output) == {}
    shapes = jax.eval_shape(model.init, jax.random.key(1), frames)
    assert jax.tree.structure(shapes) == jax.tree.structure(wrapped)


@pytest.mark.parametrize("horizon", [2, 3, 5])
def test_decompose(made, frames, horizon):
    model, variables = made
    output, prediction = apply(model, variables, frames, horizon)
    shape = (2, horizon, H, W, C)
    assert output.prediction.shape == output.coarse.shape == output.rendered.shape == shape
    assert output.gaussians.mean.shape == (2, horizon, 24, 2)
    np.testing.assert_allclose(output.rendered, output.gaussians.render(), atol=1e-6)
    # The pass-through start: the plain prediction and a tenth of the picture.
    np.testing.assert_allclose(output.prediction, output.coarse + 0.1 * output.rendered, atol=1e-6)
    np.testing.assert_allclose(output.prediction, prediction, atol=1e-6)


def test_fusions(made, frames):
    models = {name: PDR(backbone(), adapter(), fusion=name) for name in ("conv", "add", "none")}
    for name, model in models.items():
        shapes = jax.eval_shape(model.init, jax.random.key(1), frames)
        assert ("fuse_conv" in shapes["params"]) == (name == "conv")
    added, _ = apply(models["add"], made[1], frames)
    np.testing.assert_array_equal(added.prediction, added.coarse + added.rendered)
    drawn, _ = apply(models["none"], made[1], frames)
    np.testing.assert_array_equal(drawn.prediction, drawn.rendered)


def test_a_gate_takes_gaussians_without_weights_for_covering_all(frames):
    model = PDR(backbone(), adapter(), fusion="gate", gate_start=0.25)
    variables = initialise(model, frames)
    out = variables["params"]["fuse_gate"]["out"]
    out["kernel"], out["bias"] = 0 * out["kernel"], 0 * out["bias"]
    output, _ = apply(model, variables, frames)
    assert output.coverage is None
    np.testing.assert_allclose(output.gate, 1 / 1.25, rtol=1e-6)


def test_unknown_fusions_are_refused(frames):
    for change in ({"fusion": "mean"}, {"fusion_init": "zero"}):
        with pytest.raises(ValueError, match=next(iter(change))):
            jax.eval_shape(PDR(backbone(), adapter(), **change).init, jax.random.key(1), frames)


def test_bfloat16_reaches_the_backbone_only(frames):
    model = PDR(backbone(dtype=jnp.bfloat16), adapter())
    variables = jax.eval_shape(model.init, jax.random.key(1), frames)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    output = jax.eval_shape(functools.partial(model.apply, method="decompose"), variables, frames)
    assert {leaf.dtype for leaf in jax.tree.leaves(output)} == {jnp.dtype("float32")}


def test_diagnostics_tell_a_live_branch_from_a_dead_one(made, frames):
    model, variables = made
    output, _ = apply(model, variables, frames)
    alive = diagnostics.describe(variables["params"], output)
    assert alive["coarse_weight"] == 1
    assert float(alive["rendered_weight"]) == pytest.approx(0.1)
    assert alive["rendered_share"] > 0
    assert 0.3 <= alive["sigma_p05"] <= alive["sigma_p50"] <= alive["sigma_p95"] <= 0.6
    assert alive["position_at_border"] == alive["scale_saturated"] == 0

    still = output.replace(
        gaussians=jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf[:1, :1], leaf.shape), output.gaussians
        ),
        rendered=0 * output.rendered,
    )
    dead = diagnostics.describe(variables["params"], still)
    assert float(dead["position_std"]) == pytest.approx(0, abs=1e-6)
    assert float(dead["amplitude_std"]) == pytest.approx(0, abs=1e-6)
    assert dead["rendered_share"] == 0


def test_backbones_that_predict_whole_clips_refuse_forcing(made, frames):
    model, variables = made
    forcing = Forcing(frames, jnp.ones((2, 2 * T - 1), bool))
    with pytest.raises(ValueError, match="forcing: expected None, for TAU predicts a whole clip"):
        model.apply(variables, frames, forcing=forcing)
