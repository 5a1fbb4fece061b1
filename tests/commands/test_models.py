"""Every predictor has a card; `pdr models` shows it, with its size and the published size."""

import jax
import jax.numpy as jnp
import pytest

from pdr_jax import backbones
from pdr_jax.backbones import size
from pdr_jax.backbones.layers.depthwise import depthwise_conv
from pdr_jax.commands import main
from pdr_jax.recipes import published_backbone


@pytest.mark.parametrize("name", backbones.names())
def test_every_backbone_has_a_card(name):
    card = backbones.card(name)
    for field in ("title", "venue", "source", "faithful"):
        assert getattr(card, field).strip(), field
    assert card.link.startswith("https://")
    # A backbone with a faithful form says what was corrected in the other form.
    assert not ("faithful" in backbones.hyperparameters(name) and not card.corrected)


def test_a_card_counts_what_was_published(capsys):
    main(["models", "tau"])
    shown = capsys.readouterr().out
    assert "9,545,442 parameters, 2.485 G" in shown
    assert "in one pass, which predicts 4 frames" in shown
    assert "published (OpenSTL): 9.55 M parameters, 2.49 G" in shown
    assert "hid_T=256" in shown


def test_a_card_says_which_form_it_counts(capsys):
    main(["models", "convlstm"])
    counted, published, hyperparameters, trained = capsys.readouterr().out.splitlines()[-4:]
    assert "14,980,096 parameters" in counted
    assert "in all 7 steps" in counted
    assert "14.98 M parameters" in published
    assert "faithful=True" in hyperparameters
    assert trained == "trained here with faithful=False: 11,572,224 parameters"


def test_the_list_names_every_backbone(capsys):
    main(["models"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in backbones.names())
    assert "frame by frame" in shown
    assert "ustep             (not here)      USTEP: Spatio-Temporal" in shown


def test_a_predictor_without_public_code_says_so():
    for name, why in backbones.ABSENT.items():
        assert name not in backbones.names()
        with pytest.raises(ValueError, match=f"backbone='{name}' is not here: ") as raised:
            backbones.create(name, (4, 32, 32, 2))
        assert why in str(raised.value)


def test_a_recurrent_backbone_is_counted_for_all_steps():
    module = published_backbone("convlstm", "taxibj")
    # Published: 20.74. XLA leaves out the taps of a 5x5 kernel that lie outside a 16x16 map.
    inside = ((16 * 5 - 2 * (1 + 2)) / (16 * 5)) ** 2
    assert size.gmacs(module) == pytest.approx(20.74 * inside, rel=0.01)
    assert size.gmacs(module, 11) == pytest.approx(2 * size.gmacs(module, 4), rel=1e-6)


def test_every_tap_of_a_large_kernel_is_counted():
    frames = jax.ShapeDtypeStruct((1, 16, 16, 8), jnp.float32)
    kernel = jax.ShapeDtypeStruct((9, 9, 1, 8), jnp.float32)
    inside = (16 * 9 - 2 * (1 + 2 + 3 + 4)) ** 2
    assert size.flops(depthwise_conv, frames, kernel) == pytest.approx(2 * 8 * inside, rel=1e-3)


def test_e3dlstm_recalls_from_all_the_room_it_has():
    module = backbones.create("e3dlstm", (2, 8, 8, 1), num_hidden=(4,), patch_size=1)
    steps = {horizon: 2 + horizon - 1 for horizon in (2, 6)}
    one, more = (size.gmacs(module, horizon) / steps[horizon] for horizon in steps)
    tokens, multiplies = 2 * 8 * 8, 2 * 4
    other = 3  # per weight: halves of its softmax's operations
    assert more - one == pytest.approx(4 * tokens**2 * (multiplies + other) / 1e9, rel=0.1)
