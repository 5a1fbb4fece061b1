"""The settings and the clips of a run that is small enough for a test."""

import numpy as np

SMALL = {
    "backbone_options": {"hid_S": 4, "hid_T": 8, "N_S": 2, "N_T": 2, "drop_path": 0.1},
    "in_length": 2,
    "out_length": 2,
    "batch_size": 4,
    "steps": 4,
    "save_every": 2,
    "log_every": 1,
    "holdout": 0.2,
    "ema_decay": 0.9,
    "devices": 1,
}


def moving_blobs(count=20, length=4, size=8, seed=0):
    """(N, T, H, W, 1) uint8: blobs that move to the right."""
    rng = np.random.default_rng(seed)
    x = np.arange(size)
    centre = rng.uniform(0, size, (count, 1, 2)) + np.arange(length)[None, :, None] * [1.0, 0.3]
    d2 = (x[None, None, :, None] - centre[..., 1, None, None]) ** 2 + (
        x[None, None, None] - centre[..., 0, None, None]
    ) ** 2
    return (255 * np.exp(-d2 / 4))[..., None].astype(np.uint8)
