"""Clips cut from a series of single frames."""

import numpy as np
import pytest

from pdr_datasets.series import Windows


def series(length):
    return [{"frames": np.full((2, 3, 1), t, np.float32)} for t in range(length)]


def times(sample):
    return sample["frames"][:, 0, 0, 0].tolist()


@pytest.mark.parametrize("starts", [range(1, 6, 2), [1, 3, 5], np.array([1, 3, 5])])
def test_clips_are_the_frames_at_start_plus_offsets(starts):
    windows = Windows(series(9), starts, [0, 1, 3])
    assert [times(windows[k]) for k in range(len(windows))] == [[1, 2, 4], [3, 4, 6], [5, 6, 8]]
    assert windows[1]["frames"].shape == (3, 2, 3, 1)
    assert isinstance(windows[1]["id"], np.int64)
    assert [windows[k]["id"] for k in range(3)] == [1, 3, 5]
    assert times(windows[-1]) == [5, 6, 8]
    with pytest.raises(IndexError):
        windows[3]


def test_clips_that_reach_beyond_the_series_are_refused():
    assert len(Windows(series(3), range(0), [0, 5])) == 0
    with pytest.raises(ValueError, match="frame 0 to 4; the series has frames 0 to 3"):
        Windows(series(4), range(3), [0, 1, 2])
    with pytest.raises(ValueError, match="frame -1 to 2"):
        Windows(series(4), [1], [-2, 1])
