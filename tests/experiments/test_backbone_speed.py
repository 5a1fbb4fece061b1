"""The speed of one backbone can be measured anew: the others keep their rows and records."""

import json

from experiments import backbone_speed, provenance


def test_rows_that_are_not_measured_keep_their_record(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "RESULTS", tmp_path)
    monkeypatch.setattr(backbone_speed, "last_json", lambda command: {"step_seconds": 2.0})
    path = tmp_path / "backbone_speed_cpu.json"
    kept = {"backbone": "tau", "step_seconds": 1.0, "repeats": 9, "record": {"command": "earlier"}}
    again = {"backbone": "mim", "step_seconds": 1.0, "repeats": 9, "record": {"command": "earlier"}}
    path.write_text(json.dumps({"rows": [kept, again]}))
    backbone_speed.main(names=("mim", "simvp_gsta"), repeats=2)
    (content,) = json.loads(path.read_text()).values()
    rows = {row["backbone"]: row for row in content}
    assert rows["tau"] == kept
    for name in ("mim", "simvp_gsta"):
        assert rows[name]["record"].keys() == provenance.record(seeds=[0]).keys()
        assert (rows[name]["repeats"], rows[name]["step_seconds"]) == (2, 2.0)
