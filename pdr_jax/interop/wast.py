"""OpenSTL's WaST."""

import math

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.interop.family import Family, Rules

RULES: Rules = (
    (r"^conv_in/conv$", r"conv_in.0"),
    (r"^conv_in/norm$", r"conv_in.1"),
    (r"^norm_out$", r"conv_out.0"),
    (r"^conv_out$", r"conv_out.2"),
    (r"^embedding/embed$", r"wavelet_embed1.conv_emb"),
    (r"^embedding/before/conv$", r"wavelet_embed1.conv_0.0"),
    (r"^embedding/before/norm$", r"wavelet_embed1.conv_0.1"),
    (r"^embedding/after/conv$", r"wavelet_embed1.conv_1.0"),
    (r"^embedding/after/norm$", r"wavelet_embed1.conv_1.1"),
    (r"^reconstruction/low/conv$", r"wavelet_recon1.conv_0.0"),
    (r"^reconstruction/low/norm$", r"wavelet_recon1.conv_0.1"),
    (r"^reconstruction/high/conv$", r"wavelet_recon1.conv_hi.0"),
    (r"^reconstruction/high/norm$", r"wavelet_recon1.conv_hi.1"),
    (r"^translator_in/", r"translator1/"),
    (r"^bottleneck/", r"bottleneck_translator/"),
    (r"^translator_out/", r"translator2/"),
    (r"/merge$", r".concat_block"),
    (r"/block_(\d+)/", r".blocks.\1/"),
    (r"/scale_(\d)$", r".layer_scale_\1"),
    (r"/tall$", r".lk1.0"),
    (r"/tall_norm$", r".lk1.1"),
    (r"/wide$", r".lk2.0"),
    (r"/wide_norm$", r".lk2.1"),
    (r"/small$", r".sk.0"),
    (r"/small_norm$", r".sk.1"),
    (r"/(low|high)/reduce$", r".\1_frequency_attn.conv1"),
    (r"/(low|high)/norm$", r".\1_frequency_attn.bn1"),
    (r"/(low|high)/rows$", r".\1_frequency_attn.conv_h"),
    (r"/(low|high)/columns$", r".\1_frequency_attn.conv_w"),
    (r"/mix/expand$", r".temporal_mixer.conv_pw"),
    (r"/mix/depthwise$", r".temporal_mixer.conv_dw"),
    (r"/mix/squeeze$", r".temporal_mixer.se.conv_reduce"),
    (r"/mix/excite$", r".temporal_mixer.se.conv_expand"),
    (r"/mix/contract$", r".temporal_mixer.conv_pwl"),
    (r"/mix/norm_(\d)$", r".temporal_mixer.bn\1"),
    (r"/norm_(\d)$", r".norm\1"),
)


def _filters(module: Backbone) -> dict[str, np.ndarray]:
    """The Haar wavelet's filters, which PyTorch keeps: (band, 1, time, row, column)."""
    del module
    half = np.float32(math.sqrt(0.5))
    low_high = np.array([[half, half], [half, -half]])
    plane = np.einsum("iy,jx->ijyx", low_high, low_high)
    filters = np.einsum("ht,ijyx->hijtyx", low_high, plane).reshape(8, 1, 2, 2, 2)
    return {"wavelet_embed1.DWT.filters": filters, "wavelet_recon1.IDWT.filters": filters}


FAMILIES = {
    "wast": Family("wast", RULES, ignored=(r"\.I?DWT\.filters$",), buffers=_filters),
}
