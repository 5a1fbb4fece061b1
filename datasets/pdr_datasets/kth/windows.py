"""Where windows begin in a KTH clip, by OpenSTL's rule (its dataloader_kth.py)."""

from collections.abc import Sequence

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
