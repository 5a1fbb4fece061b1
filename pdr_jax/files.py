"""Files that appear whole or not at all, and JSON objects read with care."""

import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def check_local(path: Path | str) -> None:
    """Raises ValueError for an address like gs://bucket/folder, which Path takes for a folder."""
    if re.match(r"[a-z0-9]+:/", str(path)):
        raise ValueError(
            f"{path}: expected a folder of a file system; mount the object store, or copy from it"
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden path beside `path`, with the same suffix, to write to.

    When the block ends, the written file replaces `path`; if the block fails, it is removed.
    """
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut can leave the new name with no content
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A hidden folder to write to, which becomes `path` when the block ends without an error."""
    partial = path.with_name(f".partial.{path.name}")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        yield partial
        partial.replace(path)  # an empty folder may be there
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all; numbers that are not finite become null."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      ValueError: the file holds no JSON object; the message names it.
    """
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, it holds no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object, not {type(content).__name__}")
    return content


def finite(content: Any) -> Any:
    """JSON content with null in place of numbers that are not finite, which JSON does not know."""
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
