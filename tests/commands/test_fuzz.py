"""Random bad input: a command succeeds, or ends with status 2 and one line that names a field."""

import contextlib
import copy
import io
import json
import shutil
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from small_runs import moving_blobs

from pdr_jax import recipes
from pdr_jax.commands import eval as evaluation
from pdr_jax.commands import main, predict, train
from pdr_jax.evaluation import prediction
from pdr_jax.recipes import Recipe
from pdr_jax.runs.folder import read_recipe

SHORT = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(hypothesis.HealthCheck),
}
ODD_NUMBERS = [-1, 0, 1, 2.5, 10**9, 2**31, 2**70, -1.5, 1e-320, 1e300, float("nan"), float("inf")]
ODD_TEXTS = ["", "x", "sgd", "\0", "[" * 3000, "ö", "1" * 5000]
ODD_LISTS = [[], {}, [[]], [1, 2], [1, "x"], {"a": 1}, {"weight": None}, {"name": 1}, ["NTHWC"]]
ODD = st.sampled_from([None, True, False, *ODD_NUMBERS, *ODD_TEXTS, *ODD_LISTS])


def outcome(argv):
    """Runs a command, which must succeed or be refused in one line."""
    said, status = io.StringIO(), 0
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main(argv)
    except SystemExit as ended:
        status = ended.code
    text = said.getvalue()
    if status == 1 and argv[0] == "check":  # what is broken is told on stdout
        return
    # What tyro cannot parse, it refuses in a box of its own words.
    one_line = text.startswith("error: ") and text.count("\n") == 1
    # Below what is missing stands a list of the files to fetch.
    listed = argv[:2] == ["data", "prepare"] and "error: " in text and "Traceback" not in text
    refused = status == 2 and (one_line or listed or "For full helptext" in text)
    assert status == 0 or refused, (argv, status, text)


@st.composite
def mutated(draw, fields):
    """JSON fields of which one is odd, missing or unknown, at any depth."""
    fields = copy.deepcopy(fields)
    inside, name = fields, draw(st.sampled_from(sorted(fields)))
    while isinstance(inside[name], dict) and inside[name] and draw(st.booleans()):
        inside = inside[name]
        name = draw(st.sampled_from(sorted(inside)))
    change = draw(st.sampled_from(["value"] * 6 + ["missing", "unknown"]))
    if change == "missing":
        del inside[name]
    elif change == "unknown":
        inside["x" + name] = 1
    else:
        inside[name] = draw(ODD)
    return fields


def check_recipe(fields):
    """Builds what a recipe describes, or finds it refused with words that are not Python's."""
    try:
        recipe = Recipe.from_json(fields)
        recipe.build((8, 8, 1))
        recipe.build_sampling(steps_per_epoch=10)
        recipe.gaussians_note((8, 8, 1))
    except (ValueError, TypeError) as error:
        text = str(error)
    else:
        return
    assert "expected" in text or "must be" in text or "no such field" in text, text
    assert len(text) < 20_000


RECIPES = [
    recipes.create("arrays", adapter=adapter, backbone=backbone).to_json()
    for adapter, backbone in (("tracked", "tau"), ("conv", "convlstm"), ("none", "predformer"))
]


@hypothesis.settings(max_examples=150, **SHORT)
@hypothesis.given(st.sampled_from(RECIPES).flatmap(mutated))
def test_odd_recipes(fields):
    check_recipe(fields)


@pytest.mark.slow
@hypothesis.settings(max_examples=5000, deadline=None)
@hypothesis.given(st.sampled_from(RECIPES).flatmap(mutated))
def test_many_odd_recipes(fields):
    check_recipe(fields)


@pytest.fixture
def place(tmp_path, monkeypatch, finished):
    """A folder with clips.npy and a run of them, where nothing trains, predicts or measures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PDR_DATA_DIR", str(tmp_path / "data"))
    np.save("clips.npy", moving_blobs())
    np.save("seen.npy", moving_blobs(2, 2))
    shutil.copytree(finished[0], "run")
    fields = read_recipe("run").to_json()
    fields["data_options"] = {"path": "clips.npy"}
    (tmp_path / "run/recipe.json").write_text(json.dumps(fields))
    for module, name in ((train, "fit"), (evaluation, "measure"), (prediction, "predict_file")):
        monkeypatch.setattr(module, name, lambda *_, **__: sys.exit(0))
    return tmp_path


@pytest.fixture
def unopened(place, monkeypatch):
    """`place`, where no checkpoint is read."""
    for module, name in ((evaluation, "load"), (predict, "from_pretrained")):
        monkeypatch.setattr(module, name, lambda *_, **__: sys.exit(0))
    return place


TRAIN = [f"--{name.replace('_', '-')}" for name in Recipe.__dataclass_fields__]
TRAIN += ["--predgs.pool", "--predgs.window", "--predgs.tracking.search", "--predgs.scale-start"]
TRAIN += ["--data-options.scaling", "--data-options.axes", "--data-options.crop"]
TRAIN += ["--data-options.levels"]
TRAIN += ["--data-options.pad", "--backbone-options.hid-S", "--loss-options.weight", "--out"]
NUMBERS = "-1 0 1 2.5 1e9 1000000000 1180591620717411303424 nan inf -inf 1e300 1e-320".split()
WORDS = "x None True [1,2] (0,1) {} [x] NTHWC NCTHW kth zscore clips.npy run nowhere ö".split()
TEXTS = st.sampled_from([*NUMBERS, *WORDS, "", "[" * 3000, "(" * 3000, "1" * 5000])


OTHERS = [
    "eval run --data-options path=",
    "eval run --data-options axes=",
    "eval run --dataset=",
    "eval run --horizon=",
    "eval run --batch-size=",
    "eval run --devices=",
    "eval run --values=",
    "eval run --lpips=",
    "eval run --st-lpips=",
    "eval run --raft=",
    "eval run run --protocol=",
    "eval =",
    "predict run seen.npy future.npy --horizon=",
    "predict run seen.npy future.npy --batch-size=",
    "predict run seen.npy future.npy --gif=",
    "predict run seen.npy future.npy --samples=",
    "predict run seen.npy =",
    "predict run = future.npy",
    "predict = seen.npy future.npy",
    "check =",
    "train --resume=",
    "train --resume run --checkpoint=",
    "train --resume run --devices=",
    "models =",
    "models tau --dataset=",
    "data info =",
    "data prepare kth --manual-dir=",
    "data prepare moving_mnist --config=",
    "export-openstl run --out=",
    "import-openstl = --out new",
    "import-openstl clips.npy --out=",
]


def of(command, text):
    """The words of a command, with `text` for the value that it leaves open."""
    words = command.split()
    at = next(i for i, word in enumerate(words) if word.endswith("="))
    head = words[at] if words[at].startswith("-") else ""
    key = [words[at][:-1]] if len(words[at]) > 1 and not head else []
    return [*words[:at], *key, head + text, *words[at + 1 :]]


def train_with(option, text):
    sizes = "--in-length 2 --out-length 2 --batch-size 4 --backbone-options.N-T 2".split()
    path = ["--data-options.path", "clips.npy"]
    outcome(["train", "arrays", *path, *sizes, f"{option}={text}"])


@pytest.mark.rest
@hypothesis.settings(max_examples=25, **SHORT)
@hypothesis.given(option=st.sampled_from(TRAIN), text=TEXTS)
def test_odd_options_of_train(place, option, text):
    train_with(option, text)


@pytest.mark.rest
@hypothesis.settings(max_examples=25, **SHORT)
@hypothesis.given(command=st.sampled_from(OTHERS), text=TEXTS)
def test_odd_options_of_other_commands(unopened, command, text):
    outcome(of(command, text))


@st.composite
def arrays(draw):
    """An array that data may hold, of odd shape, dtype or values."""
    shape = draw(
        st.sampled_from([(20, 4, 8, 8, 1), (20, 4, 8, 8), (40, 8, 8), (8, 8), (0, 4, 8, 8, 1), ()])
        | st.lists(st.integers(0, 6), max_size=6).map(tuple)
    )
    kind = draw(st.sampled_from("u1 i1 i8 u8 f2 f4 f8 c8 b1 U3 S2 M8[s] V2 O".split()))
    if kind[0] in "USMVO":
        return np.zeros(shape, kind)
    with np.errstate(all="ignore"):
        values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)
    odd = draw(st.sampled_from([None, 0, 1, np.nan, np.inf, 1e300, -1e-300]))
    if odd is not None and kind[0] in "fc" and values.size:
        with np.errstate(all="ignore"):
            values.flat[:: draw(st.integers(1, 3))] = odd
    return values


def use(array):
    np.save("odd.npy", array)
    train_with("--data-options.path", "odd.npy")
    outcome(["predict", "run", "odd.npy", "future.npy"])


@hypothesis.settings(max_examples=10, **SHORT)
@hypothesis.given(array=arrays())
def test_odd_arrays(unopened, array):
    use(array)


def damage(run, name, how):
    """Damages one file of a run folder."""
    path = run / name
    if how == "remove":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes({"empty": b"", "garbage": b"\xff\x00{", "list": b"[1]", "{}": b"{}"}[how])


def use_damaged(place, data, commands):
    run = place / "damaged"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(place / "run", run)
    files = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from(files))
    how = data.draw(st.sampled_from(["remove", "folder", "cut", "empty", "garbage", "list", "{}"]))
    damage(run, name, how)
    outcome(data.draw(st.sampled_from(commands)).split())


COMMANDS = [
    "eval damaged",
    "predict damaged seen.npy future.npy",
    "train --resume damaged",
    "train arrays --init-from damaged",
    "export-openstl damaged --out theirs.npz",
]


@pytest.mark.rest
@hypothesis.settings(max_examples=6, **SHORT)
@hypothesis.given(data=st.data())
def test_damaged_run_folders(place, data):
    use_damaged(place, data, COMMANDS)


LONG = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}


@pytest.mark.slow
@hypothesis.settings(max_examples=500, **LONG)
@hypothesis.given(option=st.sampled_from(TRAIN), text=TEXTS)
def test_many_odd_options_of_train(place, option, text):
    train_with(option, text)


@pytest.mark.slow
@hypothesis.settings(max_examples=500, **LONG)
@hypothesis.given(command=st.sampled_from(OTHERS), text=TEXTS)
def test_many_odd_options_of_other_commands(unopened, command, text):
    outcome(of(command, text))


@pytest.mark.slow
@hypothesis.settings(max_examples=250, **LONG)
@hypothesis.given(array=arrays())
def test_many_odd_arrays(unopened, array):
    use(array)


@pytest.mark.slow
@hypothesis.settings(max_examples=200, **LONG)
@hypothesis.given(data=st.data())
def test_many_damaged_run_folders(place, data):
    use_damaged(place, data, COMMANDS)
