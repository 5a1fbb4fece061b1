"""Which time steps make up the parts and the clips, by OpenSTL's rules or the plain ones."""

import itertools
import re

import numpy as np

PROTOCOLS = ("standard", "openstl")
PARTS = ("train", "val", "test")
_YEARS = re.compile(r"(\d{4})(?:-(\d{4}))?")


def parse_years(text: str) -> dict[str, tuple[int, int]]:
    """First and last year of each part, from text such as "2010-2015,2016,2017-2018".

    Raises:
      ValueError: the text does not name three ranges of years, one after another.
    """
    matches = [_YEARS.fullmatch(years) for years in text.split(",")]
    ranges = [(int(m[1]), int(m[2] or m[1])) for m in matches if m is not None]
    edges = [year for both in ranges for year in both]
    rising = edges == sorted(edges) and all(
        earlier[1] < later[0] for earlier, later in itertools.pairwise(ranges)
    )
    if len(matches) != len(PARTS) or len(ranges) != len(PARTS) or not rising:
        raise ValueError(
            f"weatherbench: years={text!r}: expected the years of training, validation and test, "
            "one after another, such as '2010-2015,2016,2017-2018'."
        )
    return dict(zip(PARTS, ranges, strict=True))


def calendar(first_year: int, last_year: int, hours: int) -> np.ndarray:
    """The times from the first year's beginning to the last year's end, as datetime64[h]."""
    return np.arange(
        np.datetime64(f"{first_year}-01-01T00", "h"), np.datetime64(f"{last_year + 1}-01-01", "h")
    )[::hours]


def kept_times(times: np.ndarray, every: int, protocol: str) -> np.ndarray:
    """One in `every` time steps of a part, after OpenSTL's protocol has dropped the last."""
    return (times[:-1] if protocol == "openstl" else times)[::every]


def clip_offsets(in_length: int, out_length: int, *, gaps: bool) -> np.ndarray:
    """Offsets of a clip's frames from its first, in time steps.

    Args:
      in_length: frames given.
      out_length: frames to predict.
      gaps: whether to use OpenSTL's indices of the multi-variable set. They count hours, but the
        series has one step in 6 hours: 4 -> 4 frames are 0, 6, 12, 17 -> 18, 24, 30, 36 steps from
        the first, that is, 36 hours apart, except for 30 and 6 hours around the last given frame.
    """
    if not gaps:
        return np.arange(in_length + out_length)
    given = np.append(1 + 6 * np.arange(1 - in_length, 0), 0)
    offsets = np.concatenate([given, 1 + 6 * np.arange(out_length)])
    return offsets - offsets[0]


def clip_starts(steps: int, offsets: np.ndarray, protocol: str) -> range:
    """Where clips start in a part of so many time steps; OpenSTL's protocol drops the last clip."""
    return range(max(0, steps - int(offsets[-1]) - (protocol == "openstl")))
