"""Resident sources: every distinct frame once, batches as streamed."""

import numpy as np
import pytest

import pdr_datasets

SERIES = np.random.default_rng(0).integers(0, 256, (30, 4, 3, 2)).astype(np.uint8)


def windows():
    """23 overlapping clips of 8 frames; a source that stores each of them whole."""
    return pdr_datasets.load("arrays", array=SERIES, in_length=4, out_length=4, test_fraction=0)


def test_resident_clips_share_their_frames():
    source = windows().splits["train"]
    resident = pdr_datasets.Resident(source, 1)
    np.testing.assert_array_equal(resident.frames, SERIES)
    assert resident.frames.dtype == np.uint8
    assert len(resident) == len(source) == 23
    for k in (0, 5, 22):
        positions = resident[k]["frames"]
        assert positions.dtype == np.int32
        np.testing.assert_array_equal(resident.frames[positions], source[k]["frames"])
        assert resident[k]["id"] == source[k]["id"]


@pytest.mark.parametrize("devices", [1, 4])
def test_resident_batches_are_the_streamed_ones(devices):
    """Bit for bit, in the same order, and one resumes where the other stopped."""
    from pdr_jax.sharding import make_gather, make_mesh, shard_batch

    source = windows().splits["train"]
    resident = pdr_datasets.Resident(source, 1)
    mesh = make_mesh(devices)
    gather = make_gather(mesh, resident.frames)
    options = {"seed": 3, "shuffle": True, "num_epochs": None, "drop_remainder": True}
    streamed = pdr_datasets.batches(source, 8, **options)
    gathered = pdr_datasets.batches(resident, 8, **options)
    for step in range(5):
        if step == 3:
            gathered = pdr_datasets.batches(resident, 8, **options)
            gathered.set_state(streamed.get_state())
        ours, theirs = next(gathered), next(streamed)
        placed = shard_batch(mesh, theirs["frames"])
        frames = gather(ours["frames"])
        assert frames.dtype == placed.dtype
        assert frames.sharding.is_equivalent_to(placed.sharding, frames.ndim)
        np.testing.assert_array_equal(frames, placed)
        np.testing.assert_array_equal(ours["id"], theirs["id"])


def test_what_is_too_large_to_be_resident_is_refused():
    source = windows().splits["train"]
    with pytest.raises(ValueError, match="the first 15 of 23 clips have 22 distinct frames of 24"):
        pdr_datasets.Resident(source, 512 / 2**20)
    with pytest.raises(ValueError, match="source is empty"):
        pdr_datasets.Resident([], 1)
