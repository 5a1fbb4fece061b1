"""A user's own array or file, opened as a data set."""

from pdr_datasets.arrays.open import open_arrays

__all__ = ["open_arrays"]
