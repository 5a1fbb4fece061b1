"""OpenSTL's SimVP (IncepU and gSTA) and TAU, and the rules that every SimVP shell shares."""

from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import SHUFFLED_BIAS, SHUFFLED_KERNEL

SHELL: Rules = (
    (r"^encoder/layer_(\d+)/(conv|norm)", r"enc.enc.\1.conv.\2"),
    (r"^decoder/layer_(\d*[02468])/conv", r"dec.dec.\1.conv.conv.0"),  # even layers double the size
    (r"^decoder/layer_(\d+)/(conv|norm)", r"dec.dec.\1.conv.\2"),
    (r"^decoder/readout", r"dec.readout"),
)
SHELL_LAYOUTS = (
    (r"^dec\.dec\.\d+\.conv\.conv\.0\.weight", SHUFFLED_KERNEL),
    (r"^dec\.dec\.\d+\.conv\.conv\.0\.bias", SHUFFLED_BIAS),
)
METAFORMER: Rules = (
    *SHELL,
    (r"^translator/block_(\d+)/", r"hid.enc.\1.block/"),
    (r"^translator/reduction_(\d+)", r"hid.enc.\1.reduction"),
)
GATED_ATTENTION: Rules = (
    *METAFORMER,
    (r"/scale_(\d)$", r".layer_scale_\1"),
    (r"/norm_(\d)$", r".norm\1"),
    (r"/attention/proj_in$", r".attn.proj_1"),
    (r"/attention/proj_out$", r".attn.proj_2"),
    (r"/attention/gate/near$", r".attn.spatial_gating_unit.conv0"),
    (r"/attention/gate/far$", r".attn.spatial_gating_unit.conv_spatial"),
    (r"/attention/gate/mix$", r".attn.spatial_gating_unit.conv1"),
    (r"/attention/gate/squeeze$", r".attn.spatial_gating_unit.fc.0"),
    (r"/attention/gate/excite$", r".attn.spatial_gating_unit.fc.2"),
    (r"/mlp/expand$", r".mlp.fc1"),
    (r"/mlp/depthwise$", r".mlp.dwconv.dwconv"),
    (r"/mlp/contract$", r".mlp.fc2"),
)
INCEPU: Rules = (
    *SHELL,
    (r"^translator/down_(\d+)", r"hid.enc.\1"),
    (r"^translator/up_(\d+)", r"hid.dec.\1"),
    (r"/reduce$", r".conv1"),
    (r"/(conv|norm)_(\d)$", r".layers.\2.\1"),
)

FAMILIES = {
    "incepu": Family("simvp_incepu", INCEPU, SHELL_LAYOUTS),
    "gsta": Family("simvp_gsta", GATED_ATTENTION, SHELL_LAYOUTS),
    "tau": Family("tau", GATED_ATTENTION, SHELL_LAYOUTS),
}
