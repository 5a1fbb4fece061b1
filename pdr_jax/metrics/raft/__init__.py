"""RAFT, a trained optical flow, for the temporal warping error.

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020. The full
and the small model, equal to the authors' code (princeton-vl/RAFT, 2888e15). Trained weights are
read from a file that the user names; nothing is downloaded.
"""

from pdr_jax.metrics.raft.flow import load_raft

__all__ = ["load_raft"]
