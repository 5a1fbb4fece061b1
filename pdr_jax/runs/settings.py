"""Nested settings by dotted name."""

import json
from collections.abc import Mapping
from typing import Any


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name, such as "predgs.heads", as they are read from JSON."""
    found: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(settings)).items():
        nested = flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {}
        found |= nested or {f"{prefix}{name}": value}
    return found
