"""Several processes that run one program together: how they join, and what they agree on.

Everything here works in one process too, where it does nothing.
"""

import contextlib
import itertools
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, NoReturn

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Distributed = Literal["auto", "off", "on"]

SILENCE = 30  # seconds without a sign of life after which a process counts as dead
_BY_HAND = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


class Launcher(NamedTuple):
    """What started the processes.

    Attributes:
      name: in words.
      options: of `jax.distributed.initialize`, as far as JAX does not find them itself.
    """

    name: str
    options: dict[str, object]


def found(environment: Mapping[str, str] = os.environ) -> Launcher | None:
    """What started several processes, by its environment variables; None for a process alone.

    Raises:
      ValueError: of three variables that belong together, some are missing or no numbers.
    """
    given = [name for name in _BY_HAND if environment.get(name)]
    if "JAX_NUM_PROCESSES" in given or "JAX_PROCESS_ID" in given:
        return _by_hand(environment, given)
    if _number(environment, "SLURM_STEP_NUM_TASKS") > 1:
        return Launcher("SLURM", _slurm_devices(environment))
    if _number(environment, "OMPI_COMM_WORLD_SIZE") > 1:
        return Launcher("Open MPI", {})
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return Launcher("a TPU pod", {})
    return None


def join(mode: Distributed = "auto") -> None:
    """Joins the other processes, before JAX is used; prints which this is, once for all.

    Later output of all but the first goes nowhere, so that nothing is printed twice.

    Args:
      mode: "auto" joins if `found` finds others; "on" also asks JAX to find them; "off" does not.

    Raises:
      ValueError: as `found`, or "on" and there is nothing to join.
      ConnectionError: the others were not reached.
    """
    launcher = found() if mode != "off" else None
    if mode == "on":
        launcher = launcher or Launcher("JAX", {})
    if launcher is None:
        return
    # Its handler of SIGTERM would take the place of ours, in commands that never ask it.
    jax.config.update("jax_enable_preemption_service", False)
    # Two programs at once would mix up their messages: CPUs have no queue that keeps their order.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    try:
        jax.distributed.initialize(
            heartbeat_timeout_seconds=SILENCE,
            **launcher.options,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise ValueError(
            f"distributed={mode!r}: {launcher.name} does not say which processes belong together "
            f"({error}); set {', '.join(_BY_HAND)}"
        ) from error
    except RuntimeError as error:
        raise ConnectionError(
            f"distributed={mode!r}: the processes ({launcher.name}) did not find each other: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if not first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    print(
        f"processes: {jax.process_count()}, started by {launcher.name}; this is "
        f"{jax.process_index()}, with {jax.local_device_count()} of {jax.device_count()} devices",
        flush=True,
    )
    _meet()


def _meet() -> None:
    """Connects the processes, over all devices and over one of each.

    CPUs wait 30 seconds for a new connection, and later the processes may be further apart.
    """
    Votes(Mesh(np.array(jax.devices()), "device")).cast(0)
    wait_for_all("the processes have met")


def first() -> bool:
    """Whether this process writes and prints."""
    return jax.process_index() == 0


def leave(status: int, message: str = "") -> None:
    """Ends this process at once if it is one of several: an orderly end would wait for the others.

    They notice within `SILENCE` seconds, and end too.

    Args:
      status: that the process ends with.
      message: printed before.
    """
    if distributed.global_state.client is not None:
        print(message, file=sys.stderr, flush=True)
        os._exit(status)


def wait_for_all(name: str) -> None:
    """Returns when every process has come here; `name` is in errors."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def ends_together(note: Callable[[], str]) -> Iterator[None]:
    """While the block runs, the end of one process is the end of all, within `SILENCE` seconds.

    An error in this process, and another that gives no sign of life, end it at once. Nothing is
    cleaned up, for that would wait for the others. A process alone raises its error.

    Args:
      note: says what to do next; printed with the error.
    """
    if jax.process_count() == 1:
        yield
        return
    done = threading.Event()
    threading.Thread(target=_watch, args=(done, note), daemon=True).start()
    try:
        yield
    except BaseException as error:
        if "all-reduce failed" in str(error):  # another is lost: `_watch` will say which
            time.sleep(SILENCE)
        _end(f"{type(error).__name__}: {error}", note)
    finally:
        done.set()


def _watch(done: threading.Event, note: Callable[[], str]) -> None:
    """Gives signs of life, and ends this process when another gives none."""
    own, client = jax.process_index(), distributed.global_state.client
    assert client is not None
    heard = {index: (0.0, "") for index in range(jax.process_count())}
    for beat in itertools.count():
        try:
            client.key_value_set(f"alive/{own}", str(beat), allow_overwrite=True)
            found = dict(client.key_value_dir_get("alive/"))
        except jax.errors.JaxRuntimeError:  # the first process holds them
            return None if done.is_set() else _end("process 0 is lost", note)
        now = time.monotonic()
        for index, (when, sign) in heard.items():
            if (latest := found.get(f"alive/{index}", "")) != sign or beat == 0:
                heard[index] = (now, latest)
            elif now - when > SILENCE / 2:
                _end(f"process {index} is lost", note)
        if done.wait(SILENCE / 10):
            return None


def _end(what: str, note: Callable[[], str]) -> NoReturn:
    where = f"process {jax.process_index()} of {jax.process_count()}"
    print(f"error: {where}: {what}\n{note()}", file=sys.stderr, flush=True)
    os._exit(1)


class Votes:
    """What any process asks for, such as to stop, so that all of them do it at the same step."""

    def __init__(self, mesh: Mesh) -> None:
        """`mesh`: all devices of all processes."""
        self._sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        whole = NamedSharding(mesh, PartitionSpec())
        self._combine = jax.jit(lambda votes: votes.max(axis=0), out_shardings=whole)
        self._before: jax.Array | None = None

    def cast(self, *votes: int) -> tuple[int, ...]:
        """The largest of each vote over the processes, as of the last call; 0 at the first.

        That of this call would have to be waited for. A process alone gets its own votes back.
        """
        if jax.process_count() == 1:
            return votes
        mine = np.tile(np.array(votes, np.int32), (jax.local_device_count(), 1))
        cast = self._combine(jax.make_array_from_process_local_data(self._sharding, mine))
        before, self._before = self._before, cast
        return (0,) * len(votes) if before is None else tuple(np.asarray(before).tolist())


def check_equal(tree: Any, what: str) -> None:
    """Compares the arrays that every process should have the same copy of, by their checksums.

    Args:
      tree: of arrays; those that are split over devices are left out.
      what: what it is, in words.

    Raises:
      RuntimeError: an array differs; the message names it.
    """
    if jax.process_count() == 1:
        return
    copies = {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf.addressable_data(0)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if leaf.is_fully_replicated
    }
    mine = np.array([zlib.crc32(np.asarray(x).tobytes()) for x in copies.values()], np.uint32)
    different = (multihost_utils.process_allgather(mine) != mine).any(axis=0)
    if different.any():
        name = list(copies)[int(np.argmax(different))]
        raise RuntimeError(f"{what}: {name} is not the same in all processes")


def _by_hand(environment: Mapping[str, str], given: list[str]) -> Launcher:
    if missing := [name for name in _BY_HAND if name not in given]:
        raise ValueError(
            f"{' and '.join(missing)} is missing: {', '.join(_BY_HAND)} belong together"
        )
    return Launcher(
        "JAX_NUM_PROCESSES",
        {
            "coordinator_address": environment["JAX_COORDINATOR_ADDRESS"],
            "num_processes": _number(environment, "JAX_NUM_PROCESSES"),
            "process_id": _number(environment, "JAX_PROCESS_ID"),
            "cluster_detection_method": "deactivate",
        },
    )


def _slurm_devices(environment: Mapping[str, str]) -> dict[str, object]:
    """All GPUs of a node for its only process; with several, JAX gives one to each."""
    if _number(environment, "SLURM_STEP_NUM_TASKS") != _number(environment, "SLURM_STEP_NUM_NODES"):
        return {}
    seen = environment.get("CUDA_VISIBLE_DEVICES", "")
    count = len(seen.split(",")) if seen else _number(environment, "SLURM_GPUS_ON_NODE")
    return {"local_device_ids": list(range(count))} if count else {}


def _number(environment: Mapping[str, str], name: str) -> int:
    """An environment variable as a number; 0 if it is not set."""
    value = environment.get(name, "0")
    if not value.isdecimal():
        raise ValueError(f"{name}={value!r}: expected a number")
    return int(value)
