"""A trace of a training's steps, and where their time goes."""

import dataclasses
import re
import time

import jax
import jax.numpy as jnp
import pytest

from pdr_jax.runs import profile_parts
from pdr_jax.runs.fit import fit
from pdr_jax.runs.profile import Profiler, steps_of
from pdr_jax.runs.profile_parts import PARTS, Event, divide, operations
from pdr_jax.task import open_task

HLO = """\
HloModule jit_train_step, is_scheduled=true, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%fused (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %tanh.1 = f32[8]{0} tanh(%p), metadata={op_name="jit(train_step)/jvp(M)/backbone/tanh"}
}

%body (s: f32[8]) -> f32[8] {
  %s = f32[8]{0} parameter(0)
  ROOT %draw = f32[8]{0} sine(%s), metadata={op_name="jit(f)/transpose(jvp(renderer))/while/mul"}
}

%condition (c: f32[8]) -> pred[] {
  ROOT %c = pred[] parameter(0)
}

%command_buffer (b: f32[8]) -> f32[8] {
  %b = f32[8]{0} parameter(0)
  ROOT %sine.1 = f32[8]{0} sine(%b), metadata={op_name="loss"}
}

ENTRY %main (frames: f32[8]) -> f32[8] {
  %frames = f32[8]{0} parameter(0), metadata={op_name="state.params[\\'backbone\\'][\\'loss\\']"}
  %fusion.1 = f32[8]{0} fusion(%frames), kind=kLoop, calls=%fused
  %copy.2 = f32[8]{0} copy(%fusion.1)
  %while.3 = f32[8]{0} while(%copy.2), condition=%condition, body=%body, metadata={op_name="loss"}
  %call.4 = f32[8]{0} call(%fusion.1), to_apply=%command_buffer
  %scale = f32[8]{0} add(%while.3, %call.4), metadata={op_name="jit(f)/adapter/renderer/add"}
  ROOT %step = f32[8]{0} add(%scale, %copy.2), metadata={op_name="jit(f)/grad_norm/backbones/add"}
}
"""


def test_an_operation_belongs_to_the_innermost_part_of_its_name():
    parts = {name: operation.part for name, operation in operations(HLO).items()}
    assert parts["tanh.1"] == "backbone"
    assert parts["draw"] == parts["scale"] == "renderer"
    assert parts["frames"] == parts["step"] == "rest"  # no scope, only words like one


def test_what_has_no_name_belongs_to_what_it_works_on():
    found = operations(HLO)
    assert found["fusion.1"] == found["copy.2"] == ("backbone", False)
    assert found["while.3"] == ("loss", True)
    assert found["call.4"] == ("", True)  # many operations of many parts


def test_moments_are_divided_and_add_up_to_the_steps():
    """Two threads share a moment; a loop counts where nothing in it runs, and data where no op."""
    events = [
        Event(0, 10, 3, "rest"),
        Event(0, 3, 2, "data"),
        Event(2, 6, 0, "backbone"),
        Event(4, 6, 0, "loss"),
        Event(5, 8, 1, "renderer"),
        Event(7, 7, 0, "adapter"),
        Event(10, 12, 0, "optimiser"),  # ends after the host has left the step
        Event(20, 30, 3, "rest"),  # a checkpoint was between the steps
        Event(21, 22, 0, "backbone"),
    ]
    expected = {
        "data": 2,
        "backbone": 2 + 1 + 1,
        "loss": 1,
        "renderer": 2,
        "adapter": 0,
        "optimiser": 2,
        "rest": 2 + 9,
    }
    seconds = {part: seconds * 1e9 for part, seconds in divide(events).items()}
    assert seconds == pytest.approx(expected)


def plane(name, lines):
    """The text of a trace's plane, with lines of (name, start and length in ns, stats)."""
    names = sorted({event[0] for events in lines.values() for event in events})
    keys = sorted({key for events in lines.values() for event in events for key in event[3]})
    text = [f'planes {{ name: "{name}"']
    for kind, values in (("event", names), ("stat", keys)):
        for number, value in enumerate(values, 1):
            value = value.replace('"', '\\"')
            text.append(
                f'{kind}_metadata {{ key: {number} value {{ id: {number} name: "{value}" }} }}'
            )
    for line, events in lines.items():
        text.append(f'lines {{ name: "{line}"')
        for event, start, length, stats in events:
            text.append(
                f"events {{ metadata_id: {names.index(event) + 1} offset_ps: {1000 * start} "
                f"duration_ps: {1000 * length}"
            )
            for key, value in stats.items():
                text.append(f'stats {{ metadata_id: {keys.index(key) + 1} str_value: "{value}" }}')
            text.append("}")
        text.append("}")
    return "\n".join([*text, "}"])


def read(path, *planes):
    text = "\n".join(planes)
    path.write_bytes(jax.profiler.ProfileData.text_proto_to_serialized_xspace(text))
    return profile_parts.read(path, HLO)


def host(*threads):
    python = [("train", 0, 100, {}), ("data", 0, 20, {})]
    return plane("/host:CPU", {"python": python, **dict(enumerate(threads))})


def step(name, **stats):
    return {"hlo_op": name, "hlo_module": "jit_train_step", **stats}


def test_a_cpu_has_operations_on_its_threads(tmp_path):
    """A convolution that others have taken over goes on to the event of its end."""
    threads = (
        [("fusion.1", 20, 5, step("fusion.1", _p="7"))],
        [
            ("end: fusion.1", 58, 2, {"_c": "7"}),
            ("draw", 60, 20, step("draw")),
            ("draw", 80, 20, {"hlo_op": "draw", "hlo_module": "jit_validate"}),
        ],
    )
    seconds, shares = read(tmp_path / "x", host(*threads))
    assert seconds == pytest.approx(100e-9)
    assert tuple(shares) == PARTS
    expected = {"data": 0.2, "backbone": 0.4, "renderer": 0.2, "rest": 0.2}
    assert {part: share for part, share in shares.items() if share} == pytest.approx(expected)


def test_of_a_gpu_the_kernels_count_and_not_their_launches(tmp_path):
    launches = [("fusion.1", 0, 100, step("fusion.1"))]
    kernels = [("loop_fusion_1", 30, 40, step("fusion.1")), ("splat", 70, 50, step("draw"))]
    validation = ("loop_fusion_1", 2_000_000, 40, {})  # nameless, and not within a step
    device = plane("/device:GPU:0", {"Stream #13(compute)": [*kernels, validation]})
    seconds, shares = read(tmp_path / "x", host(launches), device)
    assert seconds == pytest.approx(120e-9)  # a kernel ended after the host's step
    assert shares["backbone"] == pytest.approx(40 / 120)
    assert shares["renderer"] == pytest.approx(50 / 120)
    assert shares["data"] == pytest.approx(20 / 120)


def test_a_tpu_names_an_event_by_its_instruction(tmp_path):
    operation = ("%draw = f32[8]{0} sine(f32[8]{0} %s)", 50, 50, {})
    device = plane("/device:TPU:0", {"XLA Modules": [], "XLA Ops": [operation]})
    _, shares = read(tmp_path / "x", host(), device)
    assert shares["renderer"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "kernels",
    [
        [],
        [("kernel", 20, 50, step("command_buffer.1")), ("draw", 80, 20, step("draw"))],
        [("kernel", 20, 50, {}), ("draw", 80, 20, step("draw"))],
        [("kernel", 20, 50, step("call.4")), ("draw", 80, 20, step("draw"))],
    ],
)
def test_a_trace_that_does_not_name_operations_says_so(kernels, tmp_path):
    device = plane("/device:GPU:0", {"Stream #13(compute)": kernels})
    seconds, shares = read(tmp_path / "x", host(), device)
    assert shares == {}
    assert profile_parts.describe(seconds, shares) == (
        "0.0001 ms; how it divides is not known, as the trace does not name most operations (on a "
        "GPU it may with XLA_FLAGS=--xla_gpu_enable_command_buffer=)"
    )


@pytest.mark.parametrize(
    ("seconds", "time"), [(0.2123, "212 ms"), (3.786, "3.79 s"), (0.000512, "0.512 ms")]
)
def test_the_line_has_a_time_and_the_parts_that_take_some(seconds, time):
    shares = dict.fromkeys(PARTS, 0.0) | {"backbone": 0.6, "loss": 0.4}
    assert profile_parts.describe(seconds, shares) == (
        f"{time}: data 0%, backbone 60%, loss 40%, rest 0%"
    )


def test_a_range_of_steps_is_a_slice():
    assert list(steps_of("10:12")) == [10, 11]


@pytest.mark.parametrize(
    "text", ["", "10", ":", "1:", ":2", "a:b", "1:2:3", "-1:4", "1.5:3", "3-5"]
)
def test_what_is_no_range_of_steps_is_refused(text):
    with pytest.raises(ValueError, match=r"^profile=.*: expected FIRST:END, such as 10:20"):
        steps_of(text)


@pytest.mark.parametrize("text", ["5:5", "9:3"])
def test_a_range_without_steps_is_refused(text):
    with pytest.raises(ValueError, match=f"^profile='{text}': holds no step"):
        steps_of(text)


@pytest.mark.parametrize("steps", ["0:5", "4:6", "5:8", "9:12", "12:14"])
def test_steps_that_do_not_come_are_refused(steps, tmp_path):
    """Steps are counted as in the log, also by a run that goes on from step 4."""
    with pytest.raises(ValueError, match=f"profile={steps}: expected steps from 6 to 10, the tr"):
        Profiler(steps_of(steps), tmp_path, print, done=4, last=10)
    Profiler(range(6, 11), tmp_path, print, done=4, last=10)


@jax.jit
def tiny_step(state, frames):
    with jax.named_scope("backbone"):
        return jnp.tanh(state @ frames), jnp.sum(frames)


def train(profiler, numbers):
    """Takes steps as a training does, and returns the last state."""
    state, frames = jnp.ones((50, 50)), jnp.ones((50, 50))
    function = profiler.watch(tiny_step)
    with profiler:
        for number in numbers:
            with profiler.step(number):
                with profiler.data():
                    batch = 0.1 * frames
                state, _ = function(state, batch)
    return state


def test_a_training_that_ends_early_has_a_shorter_trace(tmp_path):
    remarks = []
    train(Profiler(range(2, 9), tmp_path, remarks.append, done=0, last=9), [1, 2, 3])
    assert re.fullmatch(r"a step takes .*: data .*, backbone .* \(steps 2 to 3\)", remarks[0])
    assert len(list(tmp_path.glob("profile/plugins/profile/*/*.xplane.pb"))) == 1


def test_a_training_that_fails_leaves_no_trace_open(tmp_path):
    remarks = []

    def numbers():
        yield from (1, 2)
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        train(Profiler(range(2, 9), tmp_path, remarks.append, done=0, last=9), numbers())
    assert remarks == []
    train(Profiler(range(2, 3), tmp_path, remarks.append, done=0, last=9), [1, 2])
    assert len(remarks) == 2


def test_a_full_disk_does_not_end_a_training(tmp_path):
    remarks = []
    (tmp_path / "profile").write_text("in the way")
    train(Profiler(range(2, 3), tmp_path, remarks.append, done=0, last=9), [1, 2, 3])
    (remark,) = remarks
    assert remark.startswith("profile: the trace could not be written: ")


def test_without_steps_nothing_is_done(tmp_path):
    profiler = Profiler(None, tmp_path, pytest.fail, done=0, last=9)
    assert profiler.watch(tiny_step) is tiny_step
    train(profiler, [1, 2])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def named_afresh():
    """Of a program in the cache, the names may be those of an older version."""
    jax.config.update("jax_compilation_cache_include_metadata_in_key", True)
    yield
    jax.config.update("jax_compilation_cache_include_metadata_in_key", False)


@pytest.mark.rest
@pytest.mark.rest
def test_a_training_traces_its_steps(
    small_recipe, small_dataset, named_afresh, tmp_path, monkeypatch
):
    """Of four steps the third and the fourth, with a checkpoint between them."""
    seen, remarks, begun = [], [], time.perf_counter()

    def describe(seconds, shares):
        seen.append((seconds, shares))
        return "..."

    monkeypatch.setattr(profile_parts, "describe", describe)
    quick = {"backbone": "convlstm", "backbone_options": {"num_hidden": (4,), "patch_size": 2}}
    recipe = dataclasses.replace(small_recipe, **quick, save_every=3, holdout=0.0, ema_decay=0.0)
    fit(
        open_task(recipe, small_dataset),
        tmp_path / "run",
        profile=range(3, 5),
        remark=remarks.append,
    )
    (folder,) = (tmp_path / "run/profile/plugins/profile").iterdir()
    assert (folder / "perfetto_trace.json.gz").stat().st_size > 0
    assert "a step takes ... (steps 3 to 4)" in remarks
    assert any(str(folder) in remark for remark in remarks)
    ((seconds, shares),) = seen
    assert 0 < 2 * seconds < time.perf_counter() - begun
    assert tuple(shares) == PARTS
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["residual"] == 0
    assert all(shares[part] > 0 for part in PARTS[1:] if part != "residual")
