"""Cards: every predictor has one; `pdr models` shows it, with its size beside the published one."""

import pytest

from pdr_jax import backbones, cli, models
from pdr_jax.backbones import size


@pytest.mark.parametrize("name", backbones.names())
def test_every_backbone_has_a_card(name):
    card = backbones.card(name)
    for field in ("title", "venue", "source", "faithful"):
        assert getattr(card, field).strip(), field
    assert card.link.startswith("https://")
    # What the public code does otherwise is said where it can be brought back.
    assert not ("faithful" in backbones.hyperparameters(name) and not card.corrected)


def test_a_card_counts_what_was_published(capsys):
    cli.main(["models", "tau"])
    shown = capsys.readouterr().out
    assert "9,545,442 parameters, 2.5 G" in shown
    assert "published (OpenSTL): 9.55 M parameters, 2.49 G" in shown
    assert "hid_T=256" in shown


def test_the_list_names_every_backbone(capsys):
    cli.main(["models"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in backbones.names())
    assert "frame by frame" in shown


def test_a_recurrent_backbone_is_counted_for_all_steps():
    module = models.build("convlstm", "taxibj")
    # Published: 20.74. XLA leaves out the taps of a 5x5 kernel that lie outside a 16x16 map.
    inside = ((16 * 5 - 2 * (1 + 2)) / (16 * 5)) ** 2
    assert size.gmacs(module) == pytest.approx(20.74 * inside, rel=0.01)
    assert size.gmacs(module, 11) == pytest.approx(2 * size.gmacs(module, 4), rel=1e-6)


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["models", "tua"])
    assert "did you mean 'tau'" in capsys.readouterr().err
