"""The record of `bench` as a table, with the columns that follow from what was measured."""

from collections.abc import Sequence
from typing import Any

from pallas_kernels.splat2d.api import ON_GPU

PASSES = ("forward", "forward+backward")
BASELINE = "grid_sample"

GOALS = {"A": (1.0, 3.0), "B": (0.1, 0.3)}
"""Of the GPU kernels with many frames a call, on an H100 or H200: microseconds a frame."""

GOALS_ALONE = {"A": (30.0, 80.0)}
"""With one frame a call, its launch included."""


def lines(result: dict[str, Any], predicted: Sequence[dict[str, Any]] = ()) -> list[list[str]]:
    """The header and the rows of a table; columns without any figure are left out.

    Times are medians on a GPU. On a CPU they are the least CPU time over all cores, which does not
    need an idle machine.

    Args:
        result: the record of `bench`.
        predicted: the "rows" of the record of `tools.predict`, for a GPU and many frames a call.
    """
    on_cpu = result["hardware"]["device"] == "cpu"
    table = [_header(on_cpu)]
    for row in result["rows"]:
        shape = result["shapes"][row["case"]]
        seconds = [_seconds(row, part, on_cpu) for part in PASSES]
        baseline = _baseline(result["rows"], row)
        against = [_seconds(baseline, part, on_cpu) if baseline else None for part in PASSES]
        table.append(
            [
                row["case"],
                f"{shape['height']}x{shape['width']}x{shape['channels']}",
                f"{shape['gaussians']:,}",
                str(shape["window"] or "none"),
                row["implementation"],
                f"{row['frames']:,}",
                *(_figure(s * 1e6) for s in seconds),
                *_goals(row, on_cpu),
                *_predictions(predicted, row, on_cpu),
                *(_figure(1 / s) for s in seconds),
                *(_ratio(base, s) for base, s in zip(against, seconds, strict=True)),
                _ratio(row[PASSES[-1]].get("bytes"), 2**20),
                *(
                    _percent(row[part].get("floor"), s)
                    for part, s in zip(PASSES, seconds, strict=True)
                ),
            ]
        )
    kept = [i for i in range(len(table[0])) if any(row[i] for row in table[1:])]
    return [[row[i] for i in kept] for row in table]


def _header(on_cpu):
    time = "CPU us a frame" if on_cpu else "us a frame"
    rate = "frames a CPU second" if on_cpu else "frames a second"
    return [
        *("", "frame", "N", "K", "implementation", "frames a call"),
        *(f"{time}, forward", "+ backward"),
        *("goal, us, forward", "+ backward"),
        *("predicted, us, forward", "+ backward"),
        *(f"{rate}, forward", "+ backward"),
        *(f"times faster than {BASELINE}", "+ backward"),
        "MiB a frame, both",
        *("% of the roofline", "+ backward"),
    ]


def _seconds(row, part, on_cpu):
    return row[part]["cpu" if on_cpu else "median"] / 1e3


def _goals(row, on_cpu):
    goals = GOALS if row["frames"] > 1 else GOALS_ALONE
    known = row["case"] in goals and row["implementation"] in ON_GPU and not on_cpu
    return map(_figure, goals[row["case"]]) if known else ("", "")


def _predictions(predicted, row, on_cpu):
    key = {k: row[k] for k in ("case", "implementation")}
    found = {x["pass"]: x["microseconds"] for x in predicted if x.items() >= key.items()}
    if on_cpu or row["frames"] == 1 or not found.keys() >= {"forward", "backward"}:
        return "", ""
    return _figure(found["forward"]), _figure(found["forward"] + found["backward"])


def _baseline(rows, row):
    """The baseline on the same case, with the nearest number of frames."""
    same = [x for x in rows if x["case"] == row["case"] and x["implementation"] == BASELINE]
    return min(same, key=lambda x: abs(x["frames"] - row["frames"]), default=None)


def _ratio(above, below):
    return "" if above is None else _figure(above / below)


def _percent(floor, seconds):
    return "" if floor is None else f"{floor / 1e3 / seconds:.0%}"


def _figure(x):
    """Three significant digits, without an exponent."""
    return f"{x:,.0f}" if x >= 100 else f"{x:#.3g}".removesuffix(".")
