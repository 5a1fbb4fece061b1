"""Model types of the public PyTorch code, and the backbones that they map to."""

import pytest

from pdr_jax.interop import family, names
from pdr_jax.interop.family import family_of, model_type, naming


def test_only_simvp_and_tau_use_the_entry_model_type():
    assert model_type({"method": "ConvLSTM", "model_type": "gSTA"}) == "convlstm"
    assert model_type({"method": "SimVP", "model_type": "IncepU"}) == "incepu"
    assert model_type({"method": "TAU"}) == "tau"
    assert model_type({}) == ""


@pytest.mark.parametrize("name", names())
def test_a_backbone_leads_back_to_its_model_type(name):
    kind = family(naming(name))
    assert family_of(kind.backbone) == (name, kind)
    assert model_type(naming(name)) == name


def test_a_users_own_backbone_has_no_family():
    with pytest.raises(ValueError, match="backbone='mine'"):
        family_of("mine")
