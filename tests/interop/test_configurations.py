"""Configurations of the public PyTorch code are read, and never run."""

import os

import pytest

from pdr_jax.interop import configurations, entries


def test_python_files(tmp_path):
    path = tmp_path / "SimVP.py"
    path.write_text(
        '"""What it is."""\nimport os\nmethod = "SimVP"\nhid_S = 64  # width\nlr = 5e-4\n'
        "drop = -1\nEMAHook = dict(momentum=0.9, steps=[1, 2])\nmodel_type = None\n"
        "in_planes = 4 * 3 + 1 + 4  # as DMVFN's\nhid_T = hid_S  # as PredNet's sizes\n"
    )
    assert configurations.read(path) == {
        "method": "SimVP",
        "hid_S": 64,
        "lr": 5e-4,
        "drop": -1,
        "EMAHook": {"momentum": 0.9, "steps": [1, 2]},
        "in_planes": 17,
        "hid_T": 64,
    }


@pytest.mark.parametrize(
    "line",
    [
        "hid_S = 2 ** 5",
        "hid_S = open('ran', 'w')",
        "hid_S = dict(open('ran', 'w'))",
        "hid_S = other",
        "hid_S = [8] * 2",
        "hid_S *= 2",
        "hid_S: int = 8",
        "hid_S, hid_T = 8, 64",
        "if True:\n    hid_S = 8",
        "open('ran', 'w')",
        "hid_S = {[]: 1}",
    ],
)
def test_lines_that_would_have_to_be_run_are_refused(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "SimVP.py"
    path.write_text(f"method = 'SimVP'\n{line}\n")
    with pytest.raises(ValueError, match=r"line 2: .*write NAME = VALUE, the value itself"):
        configurations.read(path)
    assert os.listdir(tmp_path) == ["SimVP.py"]


@pytest.mark.parametrize("line", ["x = x * x", "x = x + x", "x = dict(a=x, b=x)", "x = [x, x]"])
def test_lines_that_grow_are_refused_before_they_are_large(line, tmp_path):
    path = tmp_path / "SimVP.py"
    path.write_text("x = 3\n" + f"{line}\n" * 5000)
    with pytest.raises(ValueError, match=r"line [0-9]{1,2}: .* would have to be run"):
        configurations.read(path)


def test_json_files(tmp_path):
    path = tmp_path / "model_param.json"
    path.write_text('{"method": "PredFormer", "lr": null, "model_config": {"dim": 8}}')
    assert configurations.read(path) == {"method": "PredFormer", "dim": 8}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SimVP.py", "hid_S = \n", "is no configuration in Python: invalid syntax"),
        ("model_param.json", '{"method": ', r"model_param\.json is no configuration in JSON: "),
        ("model_param.json", "[1]", "no JSON object"),
        ("model_param.json", b"\xff", "is no configuration in JSON: 'utf-8'"),
        ("model_param.json", '{"a": 1e999}', "a has a value of another kind; expected text"),
        ("model_param.json", f'{{"a": {"9" * 5000}}}', "is no configuration in JSON: Exceeds"),
        ("model_param.json", "[" * 50_000, "is nested too deeply"),
        ("model_param.json", f'{{"a": {"[" * 50}{"]" * 50}}}', "a has .* 20 deep at most"),
        ("SimVP.py", "a = b'bytes'", "a has a value of another kind"),
        ("SimVP.py", f"a = {'-' * 50_000}1", "is nested too deeply"),
        ("SimVP.py", "#" * 100_001, "expected at most 100000 bytes"),
        ("model_param.yaml", "[1]", r"ends in \.py or \.json"),
    ],
)
def test_broken_files_and_other_kinds_are_refused(name, text, message, tmp_path):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        configurations.read(tmp_path / name)


@pytest.mark.parametrize("value", ["64,64", [64, 64], (64, 64)])
def test_every_form_of_a_list_of_integers_is_read(value):
    assert entries.integers({"num_hidden": value}, "num_hidden") == (64, 64)


def test_one_integer_is_a_list_of_one():
    assert entries.integers({"num_hidden": 64}, "num_hidden") == (64,)


@pytest.mark.parametrize("value", ["64,", 6.5, [64, None]])
def test_other_values_are_refused_by_name(value):
    with pytest.raises(ValueError, match=r"num_hidden = .*expected integers"):
        entries.integers({"num_hidden": value}, "num_hidden")


def test_an_in_shape_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"in_shape = 10: expected \[T, C, H, W\]"):
        entries.in_shape({"in_shape": 10})
