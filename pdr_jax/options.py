"""Values of options on a command line, whose types only the code that takes them knows."""

import ast
import json
from typing import Any


def parse_option(text: str) -> Any:
    """What a text says as JSON, or as a Python literal; where it is neither, the text itself.

    So `false` and `False`, `null` and `None`, `[0, 1]` and `(0, 1)` are all understood.
    """
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(text)
        except (ValueError, SyntaxError, TypeError):
            continue
    return text
