"""Checksums of arrays, by which a checkpoint that has been damaged is told from a whole one."""

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorstore

from pdr_jax.sharding import on_host


def leaves(tree: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a tree on the host, each with the name that Orbax stores it by."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        yield jax.tree_util.keystr(path, simple=True, separator="."), on_host(leaf)


def digest(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)


def first_not_finite(tree: Any) -> str | None:
    """The name of the first array that holds NaN or infinity; None if there is none."""
    for name, leaf in leaves(tree):
        # Types such as bfloat16 are no np.inexact.
        if leaf.dtype.kind not in "biu" and not np.isfinite(leaf.astype(np.float32)).all():
            return name
    return None


def verify(item: Path, known: Mapping[str, int]) -> None:
    """Reads every array of a saved tree, before Orbax does, whose errors are long and many.

    Args:
      item: the folder of the tree in a checkpoint.
      known: `digest` of each array by name; arrays that it does not name are only read.

    Raises:
      ValueError: an array is missing, cannot be read, or is not what was saved.
      OSError: a file is missing.
    """
    for described in (item / "_METADATA", item / "_sharding", *item.glob("array_metadatas/*")):
        if described.is_file():
            json.loads(described.read_text())
    store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{item}/"}}
    keys = tensorstore.KvStore.open(store).result().list().result()
    names = {key.decode().removesuffix("/.zarray") for key in keys if key.endswith(b"/.zarray")}
    if missing := sorted(known.keys() - names):
        raise ValueError(f"{missing[0]} is missing")
    for name in sorted(names):
        spec = {"driver": "zarr", "kvstore": {**store, "path": f"{name}/"}}
        array = tensorstore.open(spec, open=True, read=True).result().read().result()
        if known.get(name, digest(array)) != digest(array):
            raise ValueError(f"{name} does not hold the numbers that were saved")
