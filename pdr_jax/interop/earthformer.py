"""Earthformer: CuboidTransformerModel of the public repository.

A configuration is the `model` section of one of its YAML files, with two entries added: method,
"earthformer", and in_shape, (T, C, H, W).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pdr_jax.backbones import Backbone
from pdr_jax.backbones.earthformer import Earthformer
from pdr_jax.backbones.layers.cuboids import Size, cross_side, relative_index, self_cuboids
from pdr_jax.interop.family import Family, Rules

RULES: Rules = (
    (r"^tokenizer/", r"initial_encoder/"),
    (r"^painter/", r"final_decoder/"),
    (r"^readout$", r"dec_final_proj"),
    (r"/convs_(\d+)/", r"/conv_block_list/\1/"),
    (r"/convs/", r"/conv_block/"),
    # The lists there have a norm and an activation after every convolution.
    (r"/conv_(\d+)$", lambda m: f"/{3 * int(m[1])}"),
    (r"/norm_(\d+)$", lambda m: f"/{3 * int(m[1]) + 1}"),
    (r"^(.*/merge.*)/linear$", r"\1/reduction"),
    (r"^initial_encoder/merge_", r"initial_encoder/patch_merge_list/"),
    (r"^initial_encoder/merge/", r"initial_encoder/patch_merge/"),
    (r"^final_decoder/enlarge_", r"final_decoder/upsample_list/"),
    (r"^final_decoder/enlarge/", r"final_decoder/upsample/"),
    (r"^encoder/block_(\d+)_", r"encoder/blocks/\1/"),
    (r"^encoder/merge_", r"encoder/down_layers/"),
    (r"^encoder/widen_", r"encoder/down_layer_global_proj/"),
    (r"^decoder/(self|cross)_(\d+)_", r"decoder/\1_blocks/\2/"),
    (r"^decoder/enlarge_", r"decoder/upsample_layers/"),
    (r"/attention_", r"/attn_l/"),
    (r"/position_bias/table$", r"/relative_position_bias_table"),
    (r"/token_query/linear$", r"/l2g_q_net"),
    (r"/vector_key_value/linear$", r"/l2g_global_kv_net"),
    (r"/vector_query/linear$", r"/g2l_global_q_net"),
    (r"/token_key/linear$", r"/g2l_k_net"),
    (r"/token_value/linear$", r"/g2l_v_net"),
    (r"/vector_qkv/linear$", r"/g2g_global_qkv_net"),
    (r"/vector_proj$", r"/global_proj"),
    (r"/vector_norm$", r"/global_vec_norm"),
    (r"/qkv/linear$", r"/qkv"),
    (r"/query/linear$", r"/q_proj"),
    (r"/key_value/linear$", r"/kv_proj"),
    (r"/feed_forward_(\d+)/norm$", r"/ffn_l/\1/layer_norm"),
    (r"/feed_forward_(\d+)/mlp/expand$", r"/ffn_l/\1/ffn_1"),
    (r"/feed_forward_(\d+)/mlp/contract$", r"/ffn_l/\1/ffn_2"),
    (r"^vectors$", r"init_global_vectors"),
    (r"^project$", r"z_proj"),
    (r"^seen_position/", r"enc_pos_embed/"),
    (r"^coming_position/", r"dec_pos_embed/"),
    (r"/time$", r"/T_embed/weight"),
    (r"/place$", r"/HW_embed/weight"),
    (r"/row$", r"/H_embed/weight"),
    (r"/column$", r"/W_embed/weight"),
)

# Settings that are the same in every published configuration, and fixed here.
SETTLED = {
    "block_units": None,
    "scale_alpha": 1.0,
    "enc_use_inter_ffn": True,
    "dec_use_inter_ffn": True,
    "dec_hierarchical_pos_embed": False,
    "downsample_type": "patch_merge",
    "upsample_type": "upsample",
    "use_dec_self_global": False,
    "use_dec_cross_global": False,
    "use_global_vector_ffn": False,
    "global_dim_ratio": 1,
    "ffn_activation": "gelu",
    "gated_ffn": False,
    "norm_layer": "layer_norm",
    "padding_type": "zeros",
    "use_relative_pos": True,
    "self_attn_use_final_proj": True,
    "dec_use_first_self_attn": False,
    "z_init_method": "zeros",
    "initial_downsample_activation": "leaky",
}
# The same, of models with global vectors.
SETTLED_VECTORS = {"use_global_self_attn": True, "separate_global_qkv": True}


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters here.

    Raises:
      ValueError: the configuration asks for something that Earthformer here does not have.
    """
    vectors = config.get("num_global_vectors", 0) > 0
    for field, value in (SETTLED | (SETTLED_VECTORS if vectors else {})).items():
        if config.get(field, value) != value:
            raise ValueError(
                f"config has {field} = {config[field]!r}; only {value!r}, which every published "
                f"configuration of Earthformer has, can be imported"
            )
    if "auxiliary_channels" in config:
        raise ValueError(
            "config has auxiliary_channels: EarthNet2021's model, which also sees weather "
            "forecasts, cannot be imported"
        )
    given = {"out_len": config["target_shape"][0]} if "target_shape" in config else {}
    steps = config.get("initial_downsample_stack_conv_num_layers")
    for kind in ("dim", "downscale", "num_conv"):
        field = f"initial_downsample_stack_conv_{kind}_list"
        if field in config and steps is not None:
            given[field] = config[field][:steps]
    return given


def _config(module: Backbone) -> dict[str, Any]:
    assert isinstance(module, Earthformer)
    length, height, width, channels = module.in_shape
    settled = SETTLED | (SETTLED_VECTORS if module.num_global_vectors else {})
    return settled | {
        "input_shape": [length, height, width, channels],
        "target_shape": [module.clip_length, height, width, channels],
        "initial_downsample_stack_conv_num_layers": len(
            module.initial_downsample_stack_conv_dim_list
        ),
    }


def _buffers(module: Backbone) -> dict[str, np.ndarray]:
    """The table of relative positions that every attention keeps."""
    assert isinstance(module, Earthformer)
    return {
        f"{attention}.relative_position_index": relative_index(size).astype(np.int64)
        for attention, size in _attentions(module)
    }


def _attentions(module: Earthformer) -> Iterator[tuple[str, Size]]:
    """The path there of every attention, and the size of its cuboids."""
    length, top = module.in_shape[0], len(module.grids) - 1
    for level, grid in enumerate(module.grids):
        for i in range(module.enc_depth[level]):
            for k, cuboid in enumerate(self_cuboids(module.self_pattern, (length, *grid))):
                yield f"encoder.blocks.{level}.{i}.attn_l.{k}", cuboid.size
        for i in range(module.dec_depth[level] - (level == top)):
            for k, cuboid in enumerate(self_cuboids(module.cross_self_pattern, (length, *grid))):
                yield f"decoder.self_blocks.{level}.{i}.attn_l.{k}", cuboid.size
        side = cross_side(module.cross_pattern, (length, *grid))
        for i in range(module.dec_depth[level]):
            size = (length + module.clip_length, side, side)
            yield f"decoder.cross_blocks.{level}.{i}.attn_l.0", size


FAMILIES = {
    "earthformer": Family(
        "earthformer",
        RULES,
        options=_options,
        config=_config,
        ignored=(r"\.relative_position_index$",),
        buffers=_buffers,
    )
}
