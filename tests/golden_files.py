"""Recorded outputs of the public PyTorch code, and checks of a backbone against them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from pdr_jax import interop

GOLDEN = Path(__file__).parent / "golden"


def load(name):
    """The configuration, the weights, and the other arrays of tests/golden/NAME.npz."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    config = json.loads(str(arrays.pop("config")))
    weights = {k.removeprefix("param/"): v for k, v in arrays.items() if k.startswith("param/")}
    return config, weights, arrays


def channels_last(array):
    return np.moveaxis(array, -3, -1)


def relative_error(value, expected):
    return np.abs(value - expected).max() / np.abs(expected).max()


def parameters(variables):
    """The number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def check_simvp(name, dtype=np.float32):
    """A model in SimVP's shell, computed in `dtype`, gives the recorded outputs, part by part."""
    config, weights, arrays = load(name)
    module, variables = interop.from_openstl(config, weights)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), variables)

    @jax.jit
    def parts(variables, frames):
        latent, skip = module.apply(variables, frames, method="encode")
        hidden = module.apply(variables, latent, method="translate")
        return latent.reshape(-1, *latent.shape[2:]), skip, hidden, module.apply(variables, frames)

    with jax.default_matmul_precision("highest"), jax.enable_x64(dtype == np.float64):
        got = [
            np.asarray(p) for p in parts(variables, channels_last(arrays["input"]).astype(dtype))
        ]
    for value, key in zip(got, ("enc_latent", "enc_skip", "hid_out", "output"), strict=True):
        error = relative_error(value, channels_last(arrays[key]))
        assert error < 1e-5, f"{key}: relative error {error:.1e}"
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


def check_unrolled(config, weights, arrays):
    """All predictions of a recurrent model, of observed frames too, are the recorded ones."""
    module, variables = interop.from_openstl(config, weights)
    clip, length = channels_last(arrays["input"]), module.in_shape[0]

    @jax.jit
    def unroll(variables, frames):
        def run(module):
            return module.unroll(module.start(frames), frames, clip.shape[1] - length)[1]

        return module.apply(variables, method=run)

    with jax.default_matmul_precision("highest"):
        predicted = unroll(variables, clip[:, :length])
    error = relative_error(predicted, arrays["output"])
    assert error < 1e-5, f"relative error {error:.1e}"
    assert np.square(predicted - clip[:, 1:]).mean() == pytest.approx(arrays["loss"], rel=1e-6)
    assert parameters(variables) == config["n_params"]
    check_round_trip(config, weights)


def check_round_trip(config, weights):
    """Import, then export: the same tensors come back, bit for bit."""
    module, variables = interop.from_openstl(config, weights)
    exported = interop.to_openstl(module, interop.family(config), variables)
    assert exported.keys() == weights.keys()
    for key, value in weights.items():
        assert exported[key].shape == value.shape, key
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(exported[key], value, err_msg=key)
