"""Option values whose types only the receiving code knows."""

import ast
import json
from collections.abc import Mapping
from typing import Any


def parse_option(text: str) -> Any:
    """The value of a text as JSON or as a Python literal; the text itself if it is neither.

    `false` and `False`, `null` and `None`, `[0, 1]` and `(0, 1)` are all understood.
    """
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(text)
        except (ValueError, SyntaxError, TypeError):
            continue
    return text


def parse_options(texts: Mapping[str, str] | None) -> dict[str, Any]:
    """The values of `name value name value ...`; {} if none are given."""
    return {name: parse_option(text) for name, text in (texts or {}).items()}
