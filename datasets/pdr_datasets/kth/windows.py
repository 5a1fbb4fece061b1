"""Which frames of a KTH clip make up samples: OpenSTL's window rule (its dataloader_kth.py)."""

from collections.abc import Sequence

FAST_ACTIONS = ("jogging", "running")
FAST_STRIDE = 3


def window_starts(numbers: Sequence[int], length: int, action: str) -> list[int]:
    """Positions in `numbers` at which windows begin, ascending.

    The search runs backwards from a clip's last frame: a window of `length` frames whose numbers
    are consecutive is taken, and the search goes on `length` frames earlier (3 frames earlier
    for jogging and running, which are short); where the numbers have a gap, one frame earlier.

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
