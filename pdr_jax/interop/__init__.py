"""Weights of the public PyTorch code, in and out.

OpenSTL, PredFormer, SwinLSTM, VMRNN and Earthformer are read and written: state dicts (NumPy arrays
under PyTorch's names and in its layouts) become variables of the backbones here, and back. One file
holds the rules of one family of models; `convert` applies them. What a state dict and a
configuration do not say is found by `clues` and `settings`. README.md shows the use, and how to add
a family.

Nothing here knows data sets, runs or the command line: `pdr_jax.torch_files` opens the files.
"""

from pdr_jax.interop.convert import from_openstl, to_openstl
from pdr_jax.interop.family import family, names

__all__ = ["family", "from_openstl", "names", "to_openstl"]
