"""Notes on parameters that were trained on a data set under the other protocol."""

import dataclasses

import pytest

from pdr_jax import recipes
from pdr_jax.files import write_json
from pdr_jax.runs.lineage import protocol_note

KTH = {"dataset": "kth"}
ORIGIN = {"protocol": "openstl", "data": KTH}


@pytest.fixture
def note(tmp_path):
    """The note on a run that was trained under one protocol and is used under another."""

    def note(data, protocol, trained="standard", dataset="kth"):
        made = recipes.create(dataset, protocol=trained)
        write_json(tmp_path / "recipe.json", made.to_json())
        write_json(tmp_path / "data.json", data)
        return protocol_note(tmp_path, dataclasses.replace(made, protocol=protocol))

    return note


def test_nothing_is_noted_where_the_test_clips_are_new(note):
    assert note(KTH, "standard") == ""
    assert note(KTH, "openstl") == ""  # the clips that are scored are the same
    elsewhere = {"protocol": "openstl", "data": {"dataset": "taxibj"}}
    assert note(KTH | {"init_from": elsewhere}, "standard") == ""


def test_held_out_clips_that_were_trained_on_are_noted(note):
    chosen = "'openstl' and are used under 'standard': held-out clips were trained on"
    assert chosen in note(KTH, "standard", trained="openstl")
    assert chosen in note(KTH | {"imported": {}}, "standard")


def test_source_runs_count_too(note):
    chosen = "'openstl' and are used under 'standard': held-out clips were trained on"
    assert chosen in note(KTH | {"init_from": ORIGIN}, "standard")
    between = {"protocol": "standard", "data": KTH | {"init_from": ORIGIN}}
    assert chosen in note(KTH | {"init_from": between}, "standard")


def test_other_frames_are_noted(note):
    other_frames = "are used under 'openstl': human36m has other splits and other frames"
    assert other_frames in note({"dataset": "human36m"}, "openstl", dataset="human36m")
