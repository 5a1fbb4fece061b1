"""moving_sprites: repeatable, in motion, and too fine for a blurry prediction."""

import numpy as np
import pytest

import pdr_datasets
from pdr_datasets.moving_sprites.scenes import draw_clip

SMALL = {"num_train": 6, "num_test": 3, "in_length": 2, "out_length": 3}


def clips(number, size=32, channels=1):
    return np.stack(
        [
            draw_clip(np.random.default_rng(i), length=12, size=size, channels=channels)
            for i in range(number)
        ]
    )


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (32, 3), (64, 2)])
def test_build_has_the_asked_shapes(tmp_path, size, channels):
    dataset = pdr_datasets.load(
        "moving_sprites", data_dir=tmp_path, size=size, channels=channels, **SMALL
    )
    assert {name: len(s) for name, s in dataset.splits.items()} == {"train": 6, "test": 3}
    assert dataset.frame_shape == (size, size, channels)
    assert (dataset.in_length, dataset.out_length) == (2, 3)
    for index in range(6):
        sample = dataset.splits["train"][index]
        assert sample["frames"].shape == (5, size, size, channels)
        assert sample["frames"].dtype == np.uint8
        assert sample["id"] == index


def test_clips_are_a_function_of_seed_split_and_index(tmp_path):
    def frames(folder, split, **options):
        source = pdr_datasets.load(
            "moving_sprites", data_dir=tmp_path / folder, **{**SMALL, **options}
        ).splits[split]
        return np.stack([source[i]["frames"] for i in range(3)])

    first = frames("a", "train")
    np.testing.assert_array_equal(first, frames("b", "train"))
    np.testing.assert_array_equal(first, frames("a", "train", num_train=8))
    assert (first != frames("a", "test")).any()
    assert (first != frames("a", "train", seed=1)).any()
    assert (first[0] != first[1]).any()


def test_sprites_move_over_a_background_that_stands_still():
    frames = clips(8).astype(np.float32)
    changed = np.abs(np.diff(frames, axis=1)).max(-1) > 2
    moving = changed.mean((1, 2, 3))
    assert (moving > 0.05).all()
    assert (moving < 0.9).all()
    persistence = ((frames[:, 5:6] - frames[:, 6:]) ** 2).mean((0, 2, 3, 4))
    assert persistence[0] < persistence[1] < persistence[-1]


def test_fine_texture_makes_a_blurry_prediction_costly():
    """Blurring the truth over 3 pixels costs more than a tenth of its variance."""
    frames = clips(8)[:, :, :, :, 0] / 255
    blurred = frames
    for axis in (2, 3):
        blurred = (np.roll(blurred, 1, axis) + blurred + np.roll(blurred, -1, axis)) / 3
    error = ((blurred - frames)[:, :, 1:-1, 1:-1] ** 2).mean()
    assert error > 0.1 * frames.var()


def test_grey_levels_are_spread_not_clipped():
    frames = clips(8)
    assert (frames / 255).std() > 0.1
    assert ((frames == 0) | (frames == 255)).mean() < 0.15


def test_shorter_lengths_serve_the_first_frames(tmp_path):
    stored = pdr_datasets.load("moving_sprites", data_dir=tmp_path, **SMALL)
    shorter = pdr_datasets.load(
        "moving_sprites", data_dir=tmp_path, config=stored.config, in_length=1, out_length=2
    )
    assert (shorter.in_length, shorter.out_length) == (1, 2)
    for index in range(3):
        sample = shorter.splits["test"][index]
        np.testing.assert_array_equal(sample["frames"], stored.splits["test"][index]["frames"][:3])
        assert sample["id"] == index
    with pytest.raises(ValueError, match="hold 5 frames"):
        pdr_datasets.load(
            "moving_sprites", data_dir=tmp_path, config=stored.config, in_length=3, out_length=3
        )


def test_batches_of_a_build_keep_uint8(tmp_path):
    dataset = pdr_datasets.load("moving_sprites", data_dir=tmp_path, **SMALL)
    batches = pdr_datasets.batches(dataset.splits["train"], 4, shuffle=True)
    batch = next(batches)
    batches.close()
    assert batch["frames"].shape == (4, 5, 32, 32, 1)
    assert batch["frames"].dtype == np.uint8
    units = dataset.units.normalise(batch["frames"])
    assert units.dtype == np.float32
    assert units.min() >= 0
    assert 0.5 < units.max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size=8"),
        ({"size": 32.0}, "size=32.0"),
        ({"channels": 4}, "channels=4"),
        ({"num_test": 0}, "num_test=0"),
        ({"in_length": 0}, "in_length=0"),
        ({"in_length": 10**9}, "in_length=1000000000, .* at most 10000 frames"),
        ({"seed": -1}, "seed=-1"),
        ({"sise": 32}, "no option 'sise'. It has: in_length, out_length, size, channels"),
        ({"config": "32x32"}, "config='32x32': expected a name such as"),
        (
            {"config": "32x32x1_10to10_512train_64test_seed0", "size": 16},
            "size=16: config='32x32x1",
        ),
    ],
)
def test_bad_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pdr_datasets.load("moving_sprites", data_dir=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []
