"""Which bytes a streaming multiprocessor asks of L2: its L1 cache, simulated.

Memory is a sequence of sectors of 32 bytes, four to a line. A line that is asked for is kept until
enough others were used after it; of a line that is kept, only sectors that were asked for are here.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from itertools import islice

SECTOR = 32
"""Bytes."""

LINE = 4
"""Sectors."""

Step = Iterable[tuple[int, int]]
"""Ranges of bytes that a block of threads reads before other blocks have their turn: the first byte
and the end of each."""


def traffic(blocks: Iterable[Iterable[Step]], resident: int, size: int) -> tuple[int, int]:
    """Bytes that are asked for, and how many of them are not in L1.

    Args:
        blocks: of threads that run on this multiprocessor, each a sequence of steps.
        resident: how many run at a time. They take turns, a step each; where one ends, the next
            starts.
        size: of L1, bytes.
    """
    lines = size // (LINE * SECTOR)
    kept: OrderedDict[int, int] = OrderedDict()
    asked = missed = 0
    waiting = (iter(block) for block in blocks)
    running = deque(islice(waiting, resident))
    while running:
        block = running.popleft()
        step = next(block, None)
        if step is None:
            running.extend(islice(waiting, 1))
            continue
        running.append(block)
        for line, sectors in _lines(step):
            here = kept.pop(line, 0)
            asked += sectors.bit_count()
            missed += (sectors & ~here).bit_count()
            kept[line] = here | sectors
            if len(kept) > lines:
                kept.popitem(last=False)
    return asked * SECTOR, missed * SECTOR


def _lines(step: Step) -> Iterator[tuple[int, int]]:
    """Each line of the ranges, with the bits of its sectors."""
    for start, end in step:
        first, last = start // SECTOR, (end - 1) // SECTOR
        for line in range(first // LINE, last // LINE + 1):
            low, high = max(first - line * LINE, 0), min(last - line * LINE, LINE - 1)
            yield line, (2 << high) - (1 << low)
