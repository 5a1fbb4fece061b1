"""OpenSTL's SimVP with the convolutional and MLP translators of other MetaFormers."""

from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.layouts import Layout
from pdr_jax.interop.simvp import GATED_ATTENTION, METAFORMER, SHELL_LAYOUTS

# A linear layer here that is a 1x1 convolution there, (O, I, 1, 1).
POINTWISE = Layout(lambda a: a[:, :, 0, 0].T, lambda a: a.T[:, :, None, None])
# A value per channel, (1, C, 1, 1) there.
GAIN = Layout(lambda a: a[0, :, 0, 0], lambda a: a[None, :, None, None])
POINTWISE_MLP = (*SHELL_LAYOUTS, (r"\.mlp\.fc\d\.weight$", POINTWISE))

MLP: Rules = ((r"/expand$", r".fc1"), (r"/contract$", r".fc2"))
NORMS: Rules = ((r"/norm_(\d)$", r".norm\1"),)
LAYER_SCALES: Rules = ((r"/scale_(\d)$", r".layer_scale_\1"),)

CONVMIXER: Rules = (
    *METAFORMER,
    (r"/depthwise$", r".conv_dw"),
    (r"/pointwise$", r".conv_pw"),
)
CONVNEXT: Rules = (
    *METAFORMER,
    *MLP,
    (r"/depthwise$", r".conv_dw"),
    (r"/layer_scale$", r".gamma"),
)
HORNET: Rules = (
    *METAFORMER,
    *NORMS,
    (r"/scale_(\d)$", r".gamma\1"),
    (r"/gated_conv/depthwise$", r".gnconv.dwconv"),
    (r"/gated_conv/point_(\d)$", r".gnconv.pws.\1"),
    (r"/gated_conv/", r".gnconv."),
    (r"/mlp/expand$", r".pwconv1"),
    (r"/mlp/contract$", r".pwconv2"),
)
MIXER: Rules = (
    *METAFORMER,
    *NORMS,
    *MLP,
    (r"/pixels", r".mlp_tokens"),
    (r"/channels", r".mlp_channels"),
)
MOGA: Rules = (
    *METAFORMER,
    *NORMS,
    *LAYER_SCALES,
    *MLP,
    (r"/depthwise$", r".dwconv"),
    (r"/proj_in$", r".proj_1"),
    (r"/proj_out$", r".proj_2"),
    (r"/value/near$", r".value.DW_conv0"),
    (r"/value/middle$", r".value.DW_conv1"),
    (r"/value/far$", r".value.DW_conv2"),
    (r"/mix$", r".value.PW_conv"),
    (r"/attention", r".attn"),
)
POOLFORMER: Rules = (*METAFORMER, *NORMS, *LAYER_SCALES, *MLP)

FAMILIES = {
    "convmixer": Family("simvp_convmixer", CONVMIXER, SHELL_LAYOUTS),
    "convnext": Family("simvp_convnext", CONVNEXT, POINTWISE_MLP),
    "hornet": Family("simvp_hornet", HORNET, SHELL_LAYOUTS),
    "mlp": Family("simvp_mlp", MIXER, SHELL_LAYOUTS),
    "moga": Family("simvp_moga", MOGA, (*SHELL_LAYOUTS, (r"\.(layer_scale_\d|sigma)$", GAIN))),
    "poolformer": Family("simvp_poolformer", POOLFORMER, POINTWISE_MLP),
    "van": Family("simvp_van", GATED_ATTENTION, SHELL_LAYOUTS),
}
