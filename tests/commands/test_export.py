"""`pdr export` refuses bad input and leaves nothing; tests/runs/test_pretrained.py has the rest."""

import os

import numpy as np
import pytest
from imported_runs import pdr, refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nowhere out", "nowhere is no run folder"),
        ("{run} there", "out='there' is there already"),
        ("{run} out --horizon 0", "horizon=0: expected 1 or more (option --horizon)"),
        ("{run} out --platforms gpu", "platforms: 'gpu'; expected some of cpu, cuda, tpu, rocm"),
        ("exported out --platforms", "config.json is damaged"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    options, message, finished, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported/config.json").write_text("[]")
    assert message in refused(f"export {options.format(run=finished[0])}", capsys)
    assert sorted(os.listdir()) == ["exported", "there"]


def test_weights_and_card_alone_are_written_and_listed(finished, tmp_path, capsys):
    pdr(f"export {finished[0]} {tmp_path}/new/model --platforms")
    shown = capsys.readouterr().out.splitlines()
    names = ["README.md", "config.json", "model.safetensors"]
    assert [line.split(":")[0] for line in shown] == [f"{tmp_path}/new/model/{n}" for n in names]
    size, unit = shown[-1].split()[1:]
    np.testing.assert_allclose(
        float(size) * {"kB": 1e3, "MB": 1e6}[unit],
        (tmp_path / "new/model/model.safetensors").stat().st_size,
        rtol=0.01,
    )
