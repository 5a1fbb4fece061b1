"""Weights from the public PyTorch code, and back to it.

In memory here; files in `interop.checkpoints`, run folders in `interop.imports` and
`interop.exports`.
"""

from pdr_jax.interop.convert import from_openstl, to_openstl
from pdr_jax.interop.family import family, names

__all__ = ["family", "from_openstl", "names", "to_openstl"]
