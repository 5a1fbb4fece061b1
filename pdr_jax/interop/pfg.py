"""PFGNet, which its code calls PFG."""

from pdr_jax.interop.family import Family, Rules
from pdr_jax.interop.metaformers import GAIN
from pdr_jax.interop.simvp import SHELL, SHELL_LAYOUTS

RULES: Rules = (
    *SHELL,
    (r"^translator/stem/branch_(\d+)/", r"hid.cel.branches.\1/"),
    (r"^translator/stem/rest/", r"hid.cel.tail/"),
    (r"^translator/stem/norm$", r"hid.cel.norm"),
    (r"(hid\.cel\..*)/mix$", r"\1.1"),
    (r"(hid\.cel\..*)/near$", r"\1.0.dw_s"),
    (r"(hid\.cel\..*)/same$", r"\1.0.dw_i"),
    (r"(hid\.cel\..*)/(wide|tall)$", r"\1.0/\2"),
    (r"^translator/block_(\d+)/", r"hid.blocks.\1/"),
    (r"/gating/branch_(\d+)/", r".tm.branches.\1/"),
    (r"/gating/gate$", r".tm.gate_head"),
    (r"/centre$", r".dw_c"),
    (r"/wide$", r".dw_h"),
    (r"/(tall|depthwise)$", r".dw_v"),
    (r"/expand$", r".pw_in"),
    (r"/contract$", r".pw_out"),
    (r"/norm_1$", r".norm_dw"),
    (r"/norm_2$", r".norm_pw"),
    (r"/response_1/", r".grn_dw."),
    (r"/response_2/", r".grn_pw."),
    (r"/scale_1$", r".gamma_dw"),
    (r"/scale_2$", r".gamma_pw"),
)
# "beta" and "gamma" of a channel are (1, C, 1, 1) there; gamma_dw and gamma_pw are not.
LAYOUTS = (*SHELL_LAYOUTS, (r"\.(beta|gamma)$", GAIN))

FAMILIES = {"pfg": Family("pfgnet", RULES, LAYOUTS)}
