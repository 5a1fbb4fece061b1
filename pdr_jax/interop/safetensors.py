"""Reads and writes .safetensors files, which have no checksums."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pdr_jax.files import replacing

# The format's names of types that are read as they are; BF16 becomes float32.
DTYPES = (
    *("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64"),
    *("BOOL", "BF16"),
)


def load(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a .safetensors file by name; bfloat16 becomes float32.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is broken, or has a tensor of another type.
    """
    state = {}
    try:
        with safe_open(path, framework="numpy", backend="pread") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                dtype = file.get_slice(name).get_dtype()
                if dtype not in DTYPES:
                    known = ", ".join(DTYPES)
                    raise ValueError(f"{name} has the type {dtype}; expected one of {known}")
                array = file.get_tensor(name)
                state[name] = array.astype(np.float32) if dtype == "BF16" else array
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
    return state


def save(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name; the file appears whole or not at all."""
    # The library writes the memory of an array as it lies, whatever its strides.
    contiguous = {name: np.array(array, order="C") for name, array in tensors.items()}
    with replacing(path) as partial:
        save_file(contiguous, partial, metadata={"format": "flax"})
