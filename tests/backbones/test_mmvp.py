"""MMVP: the public code's outputs and sizes, what motion matrices do, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import channels_last, check_round_trip, load, parameters, relative_error

from pdr_jax import backbones, recipes
from pdr_jax.backbones.layers.motion_matrix import compose, cubic, hat, resampling
from pdr_jax.interop import from_openstl


@pytest.mark.rest
@pytest.mark.parametrize("name", ["mmvp", "mmvp_next_frame"])
def test_outputs_equal_openstl(name):
    config, weights, arrays = load(name)
    module, variables = from_openstl(config, weights)
    with jax.default_matmul_precision("highest"):
        predict = jax.jit(module.apply, static_argnames="horizon")
        value = predict(variables, channels_last(arrays["input"]), horizon=config["aft_seq_length"])
    assert relative_error(value, channels_last(arrays["output"])) < 1e-5
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


@pytest.mark.rest
def test_parameter_counts_are_those_of_the_public_code():
    module = recipes.published_backbone("mmvp", "kth")
    frames = jax.ShapeDtypeStruct((1, 10, 128, 128, 1), jnp.float32)
    assert parameters(jax.eval_shape(module.init, jax.random.key(0), frames)) == 4_544_725


def test_frames_are_moved_by_the_products_of_matrices():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    seen, coming = (rng.uniform(size=(2, n, 4, 4)).astype(np.float32) for n in (2, 3))
    value = jax.jit(compose)(features, seen, coming)
    for step in range(3):
        last = coming[:, step]
        chains = (seen[:, 0] @ seen[:, 1] @ last, seen[:, 1] @ last, last)
        total = sum(c.swapaxes(1, 2) @ features[:, i] for i, c in enumerate(chains))
        weight = sum(c.sum(1) for c in chains)
        np.testing.assert_allclose(value[:, step], total / weight[..., None], rtol=1e-4, atol=1e-6)


def test_coarser_matrices_are_interpolated_as_in_pytorch():
    np.testing.assert_allclose(resampling(4, 2, hat), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(resampling(4, 1, hat), [[0, 0.5, 0.5, 0]])
    inner, outer = 0.59375, -0.09375  # PyTorch's bicubic, half way between samples
    halved = resampling(6, 3, cubic)
    np.testing.assert_allclose(halved[1], [0, outer, inner, inner, outer, 0])
    np.testing.assert_allclose(halved[0], [inner + outer, inner, outer, 0, 0, 0])


def test_one_pass_predicts_as_many_frames_as_asked_for():
    module = backbones.create("mmvp", (4, 32, 16, 1))
    assert (module.clip_length, module.clone(aft_seq_length=9).clip_length) == (4, 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"downsample_setting": (2, 3)}, r"downsample_setting\[1\] = 3 must be 2 or 4"),
        ({"downsample_setting": (2,)}, "the length of downsample_setting = 1 must be at least 2"),
        ({"downsample_setting": (4, 4)}, "H = 16 must be divisible by 32 .*downsample_setting"),
        ({"aft_seq_length": 0}, "aft_seq_length = 0 must be at least 1"),
        ({"hid_S": 3}, "hid_S = 3 must be even"),
        ({"in_shape": (1, 16, 16, 1)}, "in_shape's T = 1 must be at least 2"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.create("mmvp", **{"in_shape": (4, 16, 16, 1), **settings})
