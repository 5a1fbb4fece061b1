"""Where windows begin in KTH clips: by OpenSTL's rule (its dataloader_kth.py), or MCVD's."""

from collections.abc import Sequence

import numpy as np

FAST_ACTIONS = ("jogging", "running")
FAST_STRIDE = 3


def window_starts(numbers: Sequence[int], length: int, action: str) -> list[int]:
    """Positions in `numbers` at which windows begin, ascending.

    The search runs backwards from the clip's last frame. If the `length` frames that end there have
    consecutive numbers, they are a window, and the search goes on `length` frames earlier (3 frames
    earlier for jogging and running, whose clips are short); otherwise one frame earlier.

    Args:
      numbers: the clip's frame numbers, ascending.
      length: frames in a window.
      action: the clip's action.
    """
    stride = FAST_STRIDE if action in FAST_ACTIONS else length
    starts = []
    end = len(numbers) - 1
    while end >= length - 1:
        start = end - length + 1
        if numbers[end] - numbers[start] == length - 1:
            starts.append(start)
            end -= stride
        else:
            end -= 1
    return starts[::-1]


def mcvd_starts(clips: Sequence[Sequence[int]], length: int, count: int = 256) -> list[list[int]]:
    """Positions at which MCVD's `count` test windows begin, clip by clip.

    The windows are spread evenly over the clips, so that a clip has two or three of the whole data
    set's 256. Where one begins is random (datasets/kth.py of voletiv/mcvd-pytorch), here once for
    all: a function of the clip's and the window's place alone.

    Args:
      clips: the numbers of each clip's frames, ascending.
      length: frames in a window; their numbers are consecutive.
      count: windows in all.
    """
    starts: list[list[int]] = [[] for _ in clips]
    for window in range(count if clips else 0):
        clip = round(window / max(count - 1, 1) * (len(clips) - 1))
        numbers = np.asarray(clips[clip])
        possible = np.flatnonzero(
            numbers[length - 1 :] - numbers[: len(numbers) - length + 1] < length
        )
        if len(possible):
            drawn = np.random.default_rng([0, window]).integers(len(possible))
            starts[clip].append(int(possible[drawn]))
    return starts
