"""What says that several processes belong together, and the scripts that start them."""

import os
import subprocess

import pytest

from experiments.launched import ROOT
from pdr_jax import processes

BY_HAND = {
    "JAX_COORDINATOR_ADDRESS": "host:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}
SLURM = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2"}


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}, None),  # a batch script, outside of srun
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"JAX_COORDINATOR_ADDRESS": "host:1234"}, None),
        (SLURM, "SLURM"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "Open MPI"),
        ({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}, "a TPU pod"),
        (BY_HAND, "JAX_NUM_PROCESSES"),
        (BY_HAND | SLURM, "JAX_NUM_PROCESSES"),
    ],
)
def test_launchers_are_told_by_their_variables(environment, name):
    launcher = processes.found(environment)
    assert (launcher.name if launcher else None) == name


def test_addresses_by_hand_are_passed_on():
    options = processes.found(BY_HAND).options
    assert options["coordinator_address"] == "host:1234"
    assert (options["num_processes"], options["process_id"]) == (2, 1)


@pytest.mark.parametrize(
    ("more", "devices"),
    [
        ({"SLURM_GPUS_ON_NODE": "4"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "2,3", "SLURM_GPUS_ON_NODE": "4"}, [0, 1]),
        ({}, None),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_GPUS_ON_NODE": "4"}, None),  # four tasks a node
    ],
)
def test_one_task_a_node_sees_all_its_gpus(more, devices):
    assert processes.found(SLURM | more).options.get("local_device_ids") == devices


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"JAX_NUM_PROCESSES": "2"}, "JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID is missing"),
        (BY_HAND | {"JAX_PROCESS_ID": "one"}, "JAX_PROCESS_ID='one': expected a number"),
    ],
)
def test_half_a_description_is_refused(environment, message):
    with pytest.raises(ValueError, match=message):
        processes.found(environment)


def test_a_process_alone_joins_nothing(monkeypatch):
    def never(**options):
        raise AssertionError(options)

    monkeypatch.setattr(processes.jax.distributed, "initialize", never)
    for name in (*BY_HAND, *SLURM):
        monkeypatch.delenv(name, raising=False)
    processes.join("auto")
    for name, value in BY_HAND.items():
        monkeypatch.setenv(name, value)
    processes.join("off")


def stubbed(script, tmp_path, *words, status=0):
    """What a script calls, with commands that only note how they were called."""
    for name in ("srun", "scontrol", "gcloud"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\necho {name} "$@" >> called\nexit {status}\n')
        stub.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    command = ["bash", ROOT / "experiments/launch" / script, *words]
    ended = subprocess.run(command, cwd=tmp_path, env=environment)
    return ended.returncode, (tmp_path / "called").read_text().splitlines()


def test_the_page_calls_the_scripts_as_they_want_to_be_called():
    page = (ROOT / "docs/several-processes.md").read_text()
    for name, lead in (("slurm.sh", "sbatch experiments/"), ("tpu_pod.sh", "experiments/")):
        usage = (ROOT / "experiments/launch" / name).read_text()
        assert f"#   {lead}launch/{name} " in usage
        assert f"\n{lead}launch/{name} " in page


def test_the_slurm_script_begins_goes_on_and_queues_again(tmp_path):
    words = ("runs/a", "kth", "--backbone", "tau")
    begun = stubbed("slurm.sh", tmp_path, *words)
    assert begun == (0, ["srun pdr train kth --backbone tau --out runs/a"])
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/recipe.json").touch()
    (tmp_path / "called").unlink()
    status, called = stubbed("slurm.sh", tmp_path, *words, status=143)
    assert called == ["srun pdr train --resume runs/a", "scontrol requeue 7"]
    assert status == 143


def test_the_script_for_tpu_pods_starts_every_host(tmp_path):
    status, (called,) = stubbed("tpu_pod.sh", tmp_path, "pod", "zone-a", "runs/a", "kth")
    assert status == 0
    assert called.startswith("gcloud compute tpus tpu-vm ssh pod --zone zone-a --worker=all")
    assert "pdr train kth --out runs/a --distributed on" in called
    assert "then pdr train --resume runs/a --distributed on" in called
