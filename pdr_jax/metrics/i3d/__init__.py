"""I3D, the network of the Fréchet video distance (FVD).

Unterthiner et al. 2018 take the 400 logits of an Inception-I3D that was trained on Kinetics-400
(Carreira and Zisserman, CVPR 2017), of clips of 224x224 RGB frames in [-1, 1], and the Fréchet
distance between the predicted and the true clips.

FVD depends on the weights. Those of published FVD are tfhub.dev/deepmind/i3d-kinetics-400/1, in
PyTorch i3d_pretrained_400.pt or i3d_torchscript.pt. rgb_imagenet.pt of pytorch-i3d has the same
arrays from another training: its distances compare with none of the former. Nothing is downloaded.
"""

from pdr_jax.metrics.i3d.features import load_fvd, logits, resized
from pdr_jax.metrics.i3d.network import I3D
from pdr_jax.metrics.i3d.weights import expected_arrays, variables

__all__ = ["I3D", "expected_arrays", "load_fvd", "logits", "resized", "variables"]
