"""PredFormer, whose public code names the variant by a file, not by a setting."""

from collections.abc import Mapping, Sequence
from typing import Any

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.predformer import PredFormer
from pdr_jax.interop import entries
from pdr_jax.interop.family import Family, Rules

# Variant here -> the file's name there, PredFormer_NAME.py.
VARIANTS = {
    "full_attention": "FullAttention",
    "fac_st": "FacST",
    "fac_ts": "FacTS",
    "binary_st": "Binary_ST",
    "binary_ts": "Binary_TS",
    "triplet_sts": "Triplet_STS",
    "triplet_tst": "Triplet_TST",
    "quadruplet_stts": "Quadruplet_STTS",
    "quadruplet_tsst": "Quadruplet_TSST",
}
RULES: Rules = (
    (r"^embed$", r"to_patch_embedding.1"),
    (r"^head_norm$", r"mlp_head.0"),
    (r"^head$", r"mlp_head.1"),
    (r"^encoder/layer_(\d+)_", r"blocks/\1/"),
    (r"^encoder/", r""),
    (r"(?<![a-z])space(?=[_/])", r"space_transformer"),
    (r"(?<![a-z])time(?=[_/])", r"temporal_transformer"),
    (r"^joint/", r"space_temporal_transformer/"),
    (r"/block_(\d+)/", r"/layers/\1/"),
    (r"/attention_norm$", r"/0/norm"),
    (r"/attention/qkv$", r"/0/fn/to_qkv"),
    (r"/attention/proj$", r"/0/fn/to_out/0"),
    (r"/mlp_norm$", r"/1/norm"),
    (r"/mlp/gate$", r"/1/fn/fc1_g"),
    (r"/mlp/value$", r"/1/fn/fc1_x"),
    (r"/mlp/contract$", r"/1/fn/fc2"),
)


def in_shape(config: Mapping[str, Any]) -> Sequence[int]:
    """(T, C, H, W), from OpenSTL's in_shape or from PredFormer's own four entries."""
    if "in_shape" in config:
        return entries.in_shape(config)
    return [config[key] for key in ("pre_seq", "num_channels", "height", "width")]


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The variant.

    Raises:
      ValueError: the configuration names no known one.
    """
    names = {there.replace("_", "").lower(): here for here, there in VARIANTS.items()}
    variant = names.get(str(config.get("variant")).replace("_", "").lower())
    if variant is None:
        raise ValueError(
            f"config has variant = {config.get('variant')!r}; PredFormer's configurations do not "
            f"say which file was imported: add one of {', '.join(VARIANTS.values())}"
        )
    return {"variant": variant}


def config(module: Backbone) -> dict[str, Any]:
    """Entries of a configuration there."""
    assert isinstance(module, PredFormer)
    length, height, width, channels = module.in_shape
    return {
        "variant": VARIANTS[module.variant],
        "pre_seq": length,
        "after_seq": length,
        "num_channels": channels,
        "height": height,
        "width": width,
    }


FAMILIES = {
    "predformer": Family("predformer", RULES, options=options, config=config, in_shape=in_shape)
}
