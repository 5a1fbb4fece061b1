"""How the programs of `jax_triton` share frames: strips of columns, cut into pieces of rows."""

from typing import Any, NamedTuple

from pallas_kernels.ssim.fused import ENOUGH, LATTICE, SHORTEST, Geometry

WIDE = 2
"""Columns of a lane. One takes 30 % more instructions a pixel; four take 10 % less, but 224 of a
thread's registers instead of 122."""


class Strips(NamedTuple):
    """The shares of the programs, in results (rows, values in a row) of a frame."""

    lanes: int
    """Threads of a program."""
    wide: int
    """Columns that a lane owns, of one channel."""
    tall: int
    """Rows that a program owns."""
    programs: int
    """Of a frame."""


def strips_of(shape: tuple[int, int], frames: int, channels: int) -> Strips:
    """Strips of 40 columns or more, whose taps share most of what they load; pieces for a GPU."""
    rows, columns = shape[0], shape[1] // channels
    wide = min(WIDE, columns)
    values = -(-columns // wide) * channels
    lanes = max(32, min(_power_of_two(min(40 // wide * channels, values)), 256))
    across = -(-values // lanes)
    warps = frames * across * (lanes // 32)
    pieces = min(-(-ENOUGH // warps), -(-rows // SHORTEST))
    tall = -(-rows // pieces)
    return Strips(lanes, wide, tall, -(-rows // tall) * across)


def constants_of(geometry: Geometry, strips: Strips) -> dict[str, Any]:
    """What both kernels are compiled for."""
    return {
        "HEIGHT": geometry.height,
        "WIDTH": geometry.width,
        "CHANNELS": geometry.channels,
        "SAME": geometry.measure.padding == "same",
        "LATTICE": LATTICE,
        "LANES": strips.lanes,
        "WIDE": strips.wide,
        "TALL": strips.tall,
    }


def _power_of_two(number: int) -> int:
    """The least that is not below `number`."""
    return 1 << (number - 1).bit_length()
