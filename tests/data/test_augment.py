"""Augmentation: OpenSTL's changes, the same for every frame, and the same on every run."""

import json

import numpy as np
import pytest

import pdr_datasets

NAMES = ("taxibj", "weatherbench", "kth", "moving_mnist", "human36m")


def clip(dtype=np.uint8, size=40):
    """Three equal frames of noise, two channels."""
    frame = np.random.default_rng(0).integers(0, 256, (1, size, size, 2))
    return np.repeat(frame, 3, axis=0).astype(dtype)


def draws(name, frames, number=400):
    augment = pdr_datasets.augmentation(name)
    return [augment(frames, np.random.default_rng(seed)) for seed in range(number)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_changed_alike_and_keeps_shape_and_dtype(name, dtype):
    frames = clip(dtype)
    before = frames.copy()
    results = draws(name, frames, 20)
    for result in results:
        assert (result.shape, result.dtype) == (frames.shape, frames.dtype)
        np.testing.assert_array_equal(result, np.repeat(result[:1], 3, axis=0))
    np.testing.assert_array_equal(frames, before)
    assert len({result.tobytes() for result in results}) > 1
    again = draws(name, frames, 20)
    np.testing.assert_array_equal(results, again)


@pytest.mark.parametrize("name", NAMES)
def test_uint8_is_the_rounded_float32(name):
    rounded = np.clip(np.rint(draws(name, clip(np.float32), 10)), 0, 255)
    np.testing.assert_array_equal(draws(name, clip(), 10), rounded)


def test_taxibj_is_mirrored_half_the_time():
    frames = clip(size=4)
    results = draws("taxibj", frames)
    mirrored = [np.array_equal(result, frames[:, :, ::-1]) for result in results]
    assert sum(mirrored) + sum(np.array_equal(result, frames) for result in results) == 400
    assert 160 < sum(mirrored) < 240


def turns(ramp):
    """Which of the square's eight positions each clip is in, told by the signs of its slopes."""
    down = np.sign(ramp[0, -1, 0, 0] - ramp[0, 0, 0, 0])
    right = np.sign(ramp[0, 0, -1, 0] - ramp[0, 0, 0, 0])
    steeper = abs(ramp[0, -1, 0, 0] - ramp[0, 0, 0, 0]) > abs(ramp[0, 0, -1, 0] - ramp[0, 0, 0, 0])
    return int(down), int(right), bool(steeper)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weatherbench", {(1, 1, True): 1 / 2, (1, -1, True): 1 / 2}),
        ("kth", {(1, 1, True): 1 / 2, (1, -1, True): 1 / 2}),
        (
            "moving_mnist",
            {
                (-1, -1, True): 3 / 4,
                (-1, 1, True): 3 / 16,
                (1, -1, True): 3 / 64,
                (1, 1, True): 1 / 64,
            },
        ),
        (
            "human36m",
            {
                (1, -1, False): 3 / 4,  # turned to the right
                (-1, 1, False): 3 / 16,
                (1, -1, True): 3 / 64,
                (1, 1, True): 1 / 64,
            },
        ),
    ],
)
def test_turns_and_flips_have_openstls_probabilities(name, expected):
    rows, columns = np.mgrid[:40, :40].astype(np.float32)
    frames = (2 * rows + columns)[np.newaxis, :, :, np.newaxis]  # steeper downwards
    number = 600
    found = [turns(result) for result in draws(name, frames, number)]
    assert set(found) <= set(expected)
    for position, probability in expected.items():
        deviation = np.sqrt(number * probability * (1 - probability))
        assert abs(found.count(position) - number * probability) < 4 * deviation


@pytest.mark.parametrize(
    ("name", "size", "enlarged", "step"),
    [("weatherbench", 64, 66, 0.96), ("kth", 128, 134, 0.95), ("moving_mnist", 64, 68, 0.94)],
)
def test_crops_are_parts_of_the_enlarged_frame(name, size, enlarged, step):
    """Columns of a ramp tell where a crop begins and how much it is enlarged."""
    frames = np.broadcast_to(np.arange(size, dtype=np.float32)[:, np.newaxis], (1, size, size, 1))
    starts = set()
    for result in draws(name, frames, 80):
        column = np.sort(result[0, 0, :, 0])
        np.testing.assert_allclose(np.diff(column)[3:-3], step, rtol=1e-3)
        middle = size // 2
        starts.add(round(float((column[middle] + 0.5) / step - 0.5) - middle))
    assert starts == set(range(enlarged - size + 1))


def test_human36m_is_cropped_from_262_pixels():
    frames = np.arange(256, dtype=np.float32)[:, np.newaxis] + np.zeros((1, 256, 256, 3), "f4")
    result = pdr_datasets.augmentation("human36m")(frames, np.random.default_rng(0))
    ramp = np.sort(result[0, :, 0, 0] if np.ptp(result[0, :, 0, 0]) else result[0, 0, :, 0])
    np.testing.assert_allclose(np.diff(ramp)[5:-5].mean(), 256 / 262, rtol=1e-3)
    with pytest.raises(ValueError, match="24 x 40: expected squares, since they are turned"):
        pdr_datasets.augmentation("human36m")(frames[:, :24, :40], np.random.default_rng(0))


class Noise:
    """A source of ten clips."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        frames = np.random.default_rng(index).integers(0, 256, (2, 16, 16, 1)).astype(np.uint8)
        return {"frames": frames, "id": np.int64(index)}


def frames_of(iterator, number):
    out = [next(iterator)["frames"] for _ in range(number)]
    iterator.close()
    return out


def batches(size=4, **options):
    options = {"seed": 7, "shuffle": True, "num_epochs": None, **options}
    return pdr_datasets.batches(
        Noise(), size, drop_remainder=True, augment=pdr_datasets.augmentation("kth"), **options
    )


def test_epochs_and_seeds_differ_and_threads_do_not_matter():
    plain = frames_of(batches(num_threads=0), 4)
    np.testing.assert_array_equal(frames_of(batches(num_threads=3), 4), plain)
    still = {"shuffle": False, "size": 5}
    first, _, second, _ = frames_of(batches(**still), 4)
    assert not np.array_equal(first, second)  # the same five clips, an epoch later
    assert not np.array_equal(first, frames_of(batches(seed=8, **still), 1)[0])


def test_batch_size_and_processes_do_not_change_a_sample():
    single = np.concatenate(frames_of(batches(1), 10))
    np.testing.assert_array_equal(np.concatenate(frames_of(batches(5), 2)), single)
    shares = [frames_of(batches(2, process_index=p, process_count=2), 5) for p in range(2)]
    together = [np.concatenate(pair) for pair in zip(*shares, strict=True)]
    np.testing.assert_array_equal(np.concatenate(together), single)


def test_resumed_equals_uninterrupted():
    whole = frames_of(batches(), 6)
    first = batches()
    for _ in range(3):  # in the middle of the second epoch
        next(first)
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    second = batches()
    second.set_state(state)
    np.testing.assert_array_equal(frames_of(second, 3), whole[3:])


def test_data_sets_that_openstl_changes_alike():
    for name, same in (("moving_fmnist", "moving_mnist"), ("bair", "kth"), ("kitticaltech", "kth")):
        assert pdr_datasets.augmentation(name) is pdr_datasets.augmentation(same)


def test_other_data_sets_have_none():
    with pytest.raises(ValueError, match=r"'arrays' has no augmentation.* kitticaltech, kth, "):
        pdr_datasets.augmentation("arrays")
