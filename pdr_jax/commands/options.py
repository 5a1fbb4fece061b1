"""Option values whose types only the receiving code knows."""

import ast
import json
from collections.abc import Mapping
from typing import Any

_TEXTS = ("path", "key", "axes")


def parse_option(text: str) -> Any:
    """The value of a text as JSON or as a Python literal; the text itself if it is neither.

    `false` and `False`, `null` and `None`, `[0, 1]` and `(0, 1)` are all understood.
    """
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return text


def parse_options(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options whose texts have become values; paths and names of arrays stay texts."""
    return {
        name: value if name in _TEXTS or not isinstance(value, str) else parse_option(value)
        for name, value in (values or {}).items()
    }
