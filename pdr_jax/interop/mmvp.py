"""OpenSTL's MMVP."""

from collections.abc import Mapping
from typing import Any

from pdr_jax.interop import entries
from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import TRANSPOSED

RULES: Rules = (
    (r"^encoder/embed$", r"enc.inconv"),
    (r"^encoder/rrdb_(\d+)/", r"enc.block_rrdb.\1/"),
    (r"^encoder/down_(\d+)/", r"enc.pre_downsample_block.\1/"),
    (r"^encoder/down_(high|low)/", r"enc.downsample_\1/"),
    (r"^decoder/up_0/", r"dec.upsample_block_low2high/"),
    (r"^decoder/up_(\d+)/", lambda m: f"dec.upsample_block.{int(m[1]) - 1}/"),
    (r"^decoder/rrdb_(\d+)/", r"dec.rrdb_block.\1/"),
    (r"^decoder/readout$", r"dec.outc"),
    (r"^enhance/embed$", r"enhance.model.0"),
    (r"^enhance/rrdb_(\d+)/", lambda m: f"enhance.model.{int(m[1]) + 1}/"),
    (r"^enhance/readout$", r"enhance.outconv"),
    (r"^filter_high/", r"filter.filter_block.0/"),
    (r"^filter_low/", r"filter.filter_block.1/"),
    (r"^spare/up/", r"hid.scale_fuser_1/"),
    (r"^spare/fuse$", r"hid.predictor.fuse_conv"),
    (r"^spare/", r"hid.scale_fuser_2/"),
    # Convolution, normalisation and activation are numbered one after the other.
    (r"/layer_(\d)/conv$", lambda m: f".{3 * int(m[1])}"),
    (r"/layer_(\d)/norm$", lambda m: f".{3 * int(m[1]) + 1}"),
    (r"^predictor/embed$", r"hid.predictor.conv1"),
    (r"^predictor/readout$", r"hid.predictor.out_conv"),
    (r"^predictor/translate$", r"predictor/conv_translate.0"),
    (r"^predictor/translate_norm$", r"predictor/bn_translate"),
    (r"^predictor/time_1/(conv|norm)$", r"predictor/conv3d_1/\1"),
    (r"^predictor/time_2/(conv|norm)$", r"predictor/temporal_layer/\1"),
    (r"^predictor/time_2$", r"predictor/temporal_layer.0"),
    (r"(conv3d_1|temporal_layer)/conv$", r"\1.conv3d"),
    (r"(conv3d_1|temporal_layer)/norm$", r"\1.bn3d"),
    (r"^predictor/before_(\d)/conv$", r"predictor/conv_pre_\1"),
    (r"^predictor/before_(\d)/norm$", r"predictor/bn_pre_\1"),
    *(
        rule
        for place, name in (("down_1", "1_1"), ("down_2", "2_1"), ("up_1", "3_1"), ("up_2", "4_1"))
        for rule in (
            (rf"^predictor/{place}/conv$", rf"predictor/conv{name}"),
            (rf"^predictor/{place}/norm$", rf"predictor/bn{name}"),
        )
    ),
    (r"^predictor/", r"hid.predictor.predictor."),
    (r"/dense_(\d)/conv_(\d)$", r".RDB\1.conv\2"),
    (r"/conv_(\d)$", r".conv\1"),
    (r"/conv$", r".conv.conv.0"),  # of the blocks that enlarge
)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    field = "downsample_setting"  # "2,2,2" there
    return {field: entries.integers(config, field)} if field in config else {}


FAMILIES = {
    "mmvp": Family(
        "mmvp",
        RULES,
        layouts=((r"\.up\.weight$", TRANSPOSED),),
        options=_options,
        config=lambda module: {
            "aft_seq_length": module.clip_length,
            "downsample_setting": entries.joined(module.downsample_setting),
        },
    ),
}
