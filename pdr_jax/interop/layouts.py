"""Layouts: how a PyTorch tensor is rearranged into the array that stands for it here, and back."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """A rearrangement and its inverse.

    Attributes:
      read: the tensor there -> the array here.
      write: the array here -> the tensor there.
    """

    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]

    def shape(self, here: Shape) -> Shape:
        """The tensor's shape there, from the array's shape here."""
        return self.write(np.broadcast_to(np.float32(0), here)).shape


def _read_kernel(array: np.ndarray) -> np.ndarray:
    """Convolution (O, I, ...) -> (..., I, O); linear (O, I) -> (I, O)."""
    return np.moveaxis(array, (1, 0), (-2, -1))


def _write_kernel(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, (-2, -1), (1, 0))


def _to_cells(array: np.ndarray) -> np.ndarray:
    """Output channels (C, 2, 2) -> (2, 2, C)."""
    cells = array.reshape(-1, 2, 2, *array.shape[1:])
    return np.moveaxis(cells, 0, 2).reshape(array.shape)


def _from_cells(array: np.ndarray) -> np.ndarray:
    cells = array.reshape(2, 2, -1, *array.shape[1:])
    return np.moveaxis(cells, 2, 0).reshape(array.shape)


SAME = Layout(lambda a: a, lambda a: a)
KERNEL = Layout(_read_kernel, _write_kernel)
# A value per position: (C, H, W) there, (H, W, C) here.
MAP = Layout(lambda a: np.moveaxis(a, 0, -1), lambda a: np.moveaxis(a, -1, 0))
# A transposed convolution, (I, O, H, W) there; mirrored, as layers/conv_transpose.py needs it.
TRANSPOSED = Layout(
    lambda a: a[:, :, ::-1, ::-1].transpose(2, 3, 0, 1),
    lambda a: a.transpose(2, 3, 0, 1)[:, :, ::-1, ::-1],
)
# A convolution before PixelShuffle(2), whose output channels layers/patches.py orders differently.
SHUFFLED_KERNEL = Layout(
    lambda a: _read_kernel(_to_cells(a)), lambda a: _from_cells(_write_kernel(a))
)
SHUFFLED_BIAS = Layout(_to_cells, _from_cells)


def default(leaf: str, rank: int) -> Layout:
    """The layout of a variable called `leaf` here, unless its family names another."""
    if leaf == "kernel":
        return KERNEL
    return MAP if rank == 3 else SAME
