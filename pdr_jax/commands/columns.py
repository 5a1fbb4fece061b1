"""Lists in columns that a narrow terminal keeps; in a pipe no line is wrapped."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

_NARROW = 20  # characters; a text with less room goes below its row


def print_columns(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> None:
    """Prints each row as it comes; on a terminal the last column's text goes on below itself.

    Args:
      rows: texts, one more than `widths`.
      widths: of the columns but the last, in characters; a longer text moves those after it.
    """
    terminal = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for *cells, text in rows:
        head = "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        if not terminal:
            print(head + text)
            continue
        if narrow := terminal - len(head) < _NARROW:
            print(head.rstrip())
        indent = "  " if narrow else " " * len(head)
        start = indent if narrow else head
        wrapper = textwrap.TextWrapper(terminal, start, indent)
        wrapper.break_long_words = wrapper.break_on_hyphens = False
        lines = wrapper.wrap(text)
        print(*(lines or [start]), sep="\n")
