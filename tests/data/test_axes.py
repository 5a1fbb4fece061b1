"""Which axis of a user's array is which: told from the shape, or asked for; how it was read."""

import numpy as np
import pytest

import pdr_datasets


def load(shape, **options):
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    return array, pdr_datasets.load("arrays", array=array, **options)


@pytest.mark.parametrize(
    ("shape", "axes", "wanted", "frame_shape"),
    [
        ((20, 6, 5), None, "THW", (6, 5, 1)),
        ((20, 6, 5, 2), None, "THWC", (6, 5, 2)),
        ((20, 2, 6, 5), None, "TCHW", (6, 5, 2)),
        ((20, 7, 6, 5), "TCHW", "TCHW", (6, 5, 7)),
        ((20, 7, 6, 5), "THWC", "THWC", (7, 6, 5)),
        ((20, 4, 6, 5), "NTHW", "NTHW", (6, 5, 1)),
        ((20, 4, 2, 6, 5), None, "NTCHW", (6, 5, 2)),
        ((20, 2, 4, 6, 5), None, "NCTHW", (6, 5, 2)),
        ((20, 4, 6, 5, 2), None, "NTHWC", (6, 5, 2)),
        ((20, 4, 3, 6, 5), "NCTHW", None, None),  # 3 frames for 2 + 2
    ],
)
def test_what_the_shape_tells(shape, axes, wanted, frame_shape):
    if wanted is None:
        with pytest.raises(ValueError, match="each sample has 3 frames"):
            load(shape, axes=axes, in_length=2, out_length=2)
        return
    array, dataset = load(shape, axes=axes, in_length=2, out_length=2)
    assert dataset.frame_shape == frame_shape
    order = [wanted.index(axis) for axis in "NTHWC" if axis in wanted]
    moved = np.transpose(array, order).reshape(*(() if "N" in wanted else (1,)), -1, *frame_shape)
    clip = dataset.splits["train"][0]["frames"]
    np.testing.assert_array_equal(clip, moved.reshape(-1, *frame_shape)[:4])


def test_how_an_array_was_read_is_said():
    _, series = load((20, 6, 5), in_length=2, out_length=2)
    assert series.reading == "read as one series of 20 frames of 6 x 5 x 1 from axes THW"
    _, clips = load((10, 8, 3, 6, 5))
    assert clips.reading == "read as 10 clips of 8 x 6 x 5 x 3 from axes NTCHW"
    assert clips.note == ""


@pytest.mark.parametrize(
    ("shape", "lengths", "readings"),
    [
        ((100, 4, 32, 32), (2, 2), "TCHW .one series of 100 frames.*NTHW .100 clips of 4 x"),
        ((100, 4, 32, 32), (), "NTHW"),
        ((100, 2, 32, 32), (1, 1), "TCHW .*NTHW"),
        ((20, 3, 4, 32, 32), (), "NTCHW .20 clips of 3 x 32 x 32 x 4.*NCTHW .20 clips of 4 x"),
        ((100, 20, 16, 16), (), "NTHW .100 clips of 20 x.*THWC .*TCHW .*16 x 16 x 20"),
        ((64, 64, 4), (4, 4), r"axes='THW' if this is right.*np\.moveaxis\(array, 2, 0\)"),
        ((32, 48, 200), (4, 4), r"np\.moveaxis\(array, 2, 0\)"),
        ((64, 64, 10, 3), (4, 4), r"axes='THWC'.*np\.moveaxis\(array, 2, 0\)"),
    ],
)
def test_ambiguous_axes_are_asked_for(shape, lengths, readings):
    options = dict(zip(("in_length", "out_length"), lengths, strict=False))
    array = np.broadcast_to(np.uint8(0), shape)
    with pytest.raises(ValueError, match=f"array has shape .*{readings}"):
        pdr_datasets.load("arrays", array=array, **options)


@pytest.mark.parametrize(
    "shape", [(100, 64, 64), (1000, 16, 8), (60, 32, 64), (64, 64, 64), (2, 64, 64)]
)
def test_ordinary_series_need_no_axes(shape):
    array = np.broadcast_to(np.uint8(200), shape)
    dataset = pdr_datasets.load("arrays", array=array, in_length=1, out_length=1, test_fraction=0)
    assert dataset.reading.endswith("axes THW")
