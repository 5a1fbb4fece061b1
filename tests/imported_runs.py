"""Runs commands on the checkpoints in tests/golden, which the public PyTorch code wrote.

The state dict is an .npz, which needs no PyTorch; PyTorch's own files are tested in tests/interop.
"""

import jax
import numpy as np
import pytest
from golden_files import channels_last, load

from pdr_jax.commands import main

ARRAYS = "--dataset arrays --data-options path clips.npy scaling (0,1) --out-length 4"


def fill(folder):
    """Writes theirs.npz, weights of ConvMixer (it compiles fastest), and clips.npy and seen.npy."""
    _, weights, arrays = load("simvp_convmixer")
    clip, prediction = channels_last(arrays["input"]), channels_last(arrays["output"])
    both = np.concatenate([clip, prediction], axis=1).astype(np.float32)
    np.save(folder / "clips.npy", np.tile(both, (4, 1, 1, 1, 1)))
    np.save(folder / "seen.npy", clip.astype(np.float32))
    np.savez(folder / "theirs.npz", **weights)
    return folder


def pdr(command):
    main(command.split())


def refused(command, capsys):
    """The error message of a command that is refused."""
    with pytest.raises(SystemExit) as exit_:
        pdr(command)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def fail(*_, **__):
    raise OSError("disk full")


def assert_close(ours, theirs):
    for here, there in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-6)
