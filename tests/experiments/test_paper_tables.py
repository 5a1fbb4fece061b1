"""The paper's tables: figures beside what was published, and reasons where there are none."""

import csv

from experiments import judge, judged, tables
from experiments.pages import paper
from pdr_jax.recipes import create


def run(label, seed, kurtosis):
    scores = {"10 -> 20": {"model": {"kurtosis": kurtosis, "ssim": 0.5}}}
    return {"label": label, "seed": seed, "scores": scores}


def test_every_row_has_a_figure_or_a_reason():
    lines = [line for line in paper.document(tables.load()).splitlines() if line.startswith("| ")]
    with paper.ROWS.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(
            "| of |" not in x and "---" not in x for x in lines
        )
    for line in lines:
        assert line.split(" | ")[-1].strip(" |"), line


def test_arms_are_those_of_the_study(monkeypatch):
    def recipe(self, *, full, **fields):
        return create(self.benchmark, **fields, steps=10)

    monkeypatch.setattr(judged.Setting, "recipe", recipe)
    setting = judged.SETTINGS["era5"]
    arms = [*judge.main_arms(setting, False, 2.0), *judge.paper_arms(setting, False)]
    known = {"persistence", *(arm.label for arm in arms)}
    with paper.ROWS.open(newline="") as file:
        asked = {row["arm"] for row in csv.DictReader(file) if row["arm"]}
    assert not {arm for arm in asked if not arm.startswith("simvp_")} - known


def test_the_gap_to_the_truth():
    plain = [run(paper.TAU, 0, 0.5), run(paper.TAU, 1, 1.5)]
    pdr = [run("PDR paper", 0, 0.75), run("PDR paper", 1, 0.0)]
    parts = {"main": {"runs": [*plain, *pdr]}}
    found = {"judge_kth": {"title": "KTH subset, 64x64", "parts": parts}}
    row = {"metric": "kurtosis, recovered %", "data": "KTH", "arm": "PDR paper", "why": ""}
    assert paper.ours(row, found)[0] == "-25.00 (-100.0 to 50.00)"
    assert paper.ours(row | {"arm": "PDR tracked"}, found) == ("", "not run yet")
