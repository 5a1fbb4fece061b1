"""The time axis of a series: its order, its step, its gaps, and the times that follow."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdr_datasets.series import find_runs

_TOLERANCE = 0.01  # of a step: times stored as float32 days, or of scans that begin a little late
_SECOND = 1_000_000  # microseconds
_SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_LARGEST = 2**42  # seconds, 139,000 years; as microseconds they fit into int64
_MONTH = 28 * 86_400 * _SECOND  # the shortest
_STANDARD = ("standard", "gregorian", "proleptic_gregorian")
_OTHERS = ("noleap", "365_day", "360_day", "all_leap", "366_day", "julian")
_NAMES = {
    **dict.fromkeys(("day", "days", "d"), "d"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), "h"),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), "min"),
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), "s"),
}


@dataclasses.dataclass(frozen=True)
class Times:
    """Times of a series.

    Attributes:
      ticks: (T,) int64, microseconds since `since`.
      since: "1970-01-01" in the standard calendar; in others, the file's own reference.
      calendar: "standard", or the name that CF gives to another.
    """

    ticks: np.ndarray
    since: str = "1970-01-01"
    calendar: str = "standard"

    def check_order(self, label: str) -> None:
        """Raises ValueError, which names the first offender, unless the times ascend."""
        differences = np.diff(self.ticks)
        if (differences > 0).all():
            return
        place = int(np.argmax(differences <= 0))
        if differences[place] == 0:
            raise ValueError(f"{label}: the time {self.word(place)} is there twice. Keep one.")
        order = "descend" if (differences < 0).all() else "are not in order"
        raise ValueError(
            f"{label}: times {order}: {self.word(place + 1)} follows {self.word(place)}. Sort "
            "them, as with xarray's sortby."
        )

    def positions(self, label: str) -> tuple[np.ndarray, str]:
        """Times counted in steps, and the step in words; neighbours 1 apart have no gap.

        The step is the commonest distance of neighbours, give or take 1 %; or months, if they are
        that far apart.

        Raises:
          ValueError: there are fewer than 2 times, or less than half have that distance.
        """
        if len(self.ticks) < 2:
            raise ValueError(f"{label} has {len(self.ticks)} time steps: expected a series.")
        counted, step, words = self._steps()
        differences = np.diff(counted)
        regular = np.abs(differences - step) <= _TOLERANCE * step
        if 2 * regular.sum() < len(regular):
            raise ValueError(
                f"{label}: times are not regular: the step {words} holds for {regular.sum()} of "
                f"{len(regular)} neighbours. Put the frames on regular times, as with xarray's "
                "resample."
            )
        # A gap that is no multiple of the step must not be taken for one step.
        jumps = np.where(regular, 1, np.maximum(2, np.rint(differences / step))).astype(np.int64)
        return np.concatenate([[0], np.cumsum(jumps)]), words

    def after(self, count: int) -> np.ndarray:
        """(count,) int64 ticks that follow the last time, in the same step."""
        counted, step, words = self._steps()
        following = counted[-1] + step * np.arange(1, count + 1)
        if "month" not in words:
            return self.ticks[-1] + following - counted[-1]
        months = following.astype("datetime64[M]")
        last, day = self.dates()[-1], np.timedelta64(1, "D")
        latest = (months + np.timedelta64(1, "M")).astype("datetime64[us]") - day
        days = np.minimum(months + (last - last.astype("datetime64[M]")), latest)
        return days.astype(np.int64)

    def dates(self) -> np.ndarray:
        """(T,) datetime64[us], of the standard calendar."""
        return self.ticks.astype("datetime64[us]")

    def word(self, place: int) -> str:
        """One of the times, for a message."""
        if self.calendar == "standard":
            return _short(self.dates()[place])
        return f"{_duration(int(self.ticks[place]))} since {self.since} ({self.calendar})"

    def _steps(self) -> tuple[np.ndarray, int, str]:
        """What is counted, ticks or months; the step; and the step in words."""
        step = int(np.median(np.diff(self.ticks)))
        if step >= _MONTH and self.calendar == "standard":
            months = self.dates().astype("datetime64[M]").astype(np.int64)
            step = max(1, int(np.median(np.diff(months))))
            return months, step, f"{step} month{'s' * (step > 1)}"
        whole = round(step / _SECOND) * _SECOND
        step = whole if abs(whole - step) <= _TOLERANCE * step else step
        return self.ticks, step, _duration(step)


def decode(variable: Any, label: str) -> Times:
    """Times from stored numbers and the attributes "units" and "calendar" of CF.

    Args:
      variable: an xarray.Variable, not decoded, with T entries.
      label: names it in messages.

    Raises:
      ValueError: the attributes are missing or not understood, or a time is missing.
    """
    import xarray

    units, calendar = (str(variable.attrs.get(name, "")) for name in ("units", "calendar"))
    calendar = calendar.lower() or "standard"
    name, _, since = units.partition(" since ")
    unit = _NAMES.get(name.strip().lower())
    values = np.asarray(variable.values)
    said = f"units={units!r} and calendar={calendar!r}"
    if variable.ndim != 1 or values.dtype.kind not in "iuf" or not since:
        raise ValueError(
            f"{label} has dtype {values.dtype}, {variable.ndim} axes and units={units!r}: expected "
            "one axis of numbers such as 'hours since 2000-01-01'."
        )
    if unit is None or calendar not in (*_STANDARD, *_OTHERS):
        raise ValueError(
            f"{label} has {said}: expected days, hours, minutes or seconds since a date, and one "
            f"of {', '.join((*_STANDARD, *_OTHERS))}."
        )
    seconds = values.astype(np.float64) * _SECONDS[unit]
    if not (np.abs(seconds) < _LARGEST).all():
        place = int(np.argmin(np.abs(seconds) < _LARGEST))
        raise ValueError(f"{label} has {said}: the time at {place}, {values[place]}, is none.")
    if values.dtype.kind == "f":
        ticks = np.rint(seconds * _SECOND).astype(np.int64)
    else:
        ticks = values.astype(np.int64) * (_SECONDS[unit] * _SECOND)
    if calendar in _OTHERS:
        return Times(ticks, since.strip(), calendar)
    attributes = {"units": units, "calendar": calendar}
    reference = xarray.Variable("time", np.zeros(1, np.int64), attributes)
    try:
        date = xarray.coders.CFDatetimeCoder(time_unit="us").decode(reference).values[0]
    # ImportError: it needs cftime, as a date before 1582 does, where the calendars part.
    except (ValueError, TypeError, OverflowError, ImportError) as error:
        raise ValueError(f"{label} has {said}: the date is not understood.") from error
    if not isinstance(date, np.datetime64):
        raise ValueError(f"{label} has {said}: expected a date after 1582.")
    return Times(ticks + date.astype("datetime64[us]").astype(np.int64))


def numbers_after(variable: Any, times: Times, count: int) -> np.ndarray:
    """(count,) numbers of the times that follow, in the units of `variable`.

    Args:
      variable: an xarray.Variable of which `decode` made the last of `times`.
      times: of a series.
      count: of times.
    """
    unit = _SECONDS[_NAMES[str(variable.attrs["units"]).partition(" since ")[0].strip().lower()]]
    last = np.ravel(variable.values)[-1]
    numbers = float(last) + (times.after(count) - times.ticks[-1]) / (unit * _SECOND)
    whole = last.dtype.kind in "iu" and (numbers == np.rint(numbers)).all()
    return numbers.astype(np.int64 if whole else np.float64)


def join(times: Sequence[Times], labels: Sequence[str]) -> Times:
    """The times of several files, one after another.

    Raises:
      ValueError: they have other calendars or references, or a file begins before the one before
        it ends.
    """
    first = times[0]
    for before, after, one, other in zip(times, times[1:], labels, labels[1:], strict=False):
        if (after.calendar, after.since) != (first.calendar, first.since):
            raise ValueError(
                f"{other}: times are counted since {after.since} ({after.calendar}), and in "
                f"{labels[0]} since {first.since} ({first.calendar}): expected the same."
            )
        if after.ticks[0] <= before.ticks[-1]:
            raise ValueError(
                f"{other} begins at {after.word(0)}, before {one} ends, at {before.word(-1)}: "
                "expected files that follow one another."
            )
    return dataclasses.replace(first, ticks=np.concatenate([part.ticks for part in times]))


def describe_gaps(times: Times, positions: np.ndarray) -> str:
    """A note on the gaps, of which it names three; "" if there are none."""
    ends = [first + count - 1 for first, count in find_runs(positions)[:-1]]
    if not ends:
        return ""
    missing = int(positions[-1]) + 1 - len(positions)
    shown = ", ".join(f"after {times.word(end)}" for end in ends[:3])
    more = ", ..." if len(ends) > 3 else ""
    steps = "1 step is" if missing == 1 else f"{missing} steps are"
    return (
        f"{len(ends)} gap{'s' * (len(ends) > 1)} in time, {steps} missing ({shown}{more}): no "
        "window crosses one."
    )


def _short(date: np.datetime64) -> str:
    """As 2000-01-01T06, without what is zero at the end."""
    for unit in ("D", "h", "m", "s"):
        if date == date.astype(f"datetime64[{unit}]"):
            return str(date.astype(f"datetime64[{unit}]"))
    return str(date)


def _duration(ticks: int) -> str:
    """As "6 h": in the largest unit of which it is a whole number."""
    for name, seconds in _SECONDS.items():
        if ticks % (seconds * _SECOND) == 0 and ticks:
            return f"{ticks // (seconds * _SECOND)} {name}"
    return f"{ticks / _SECOND:g} s"
