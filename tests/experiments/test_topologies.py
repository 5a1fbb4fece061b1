"""What a compiled training step sends between devices: here eight of a CPU, and absent ones."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from experiments.collectives import read, summed
from experiments.topologies import CASES, compile_apart
from experiments.topologies_model import HARDWARE, all_reduces, efficiency
from experiments.topologies_step import TOPOLOGIES, lowered, mesh_of, missing
from pdr_jax.task import open_task


@pytest.fixture(scope="module")
def mesh():
    return mesh_of(TOPOLOGIES["8 CPU devices"])


def test_operations_are_counted_as_often_as_they_run_with_the_bytes_of_their_results(mesh):
    def body(x):
        def more(total, _):
            return jax.lax.psum(total, "data"), None

        total, _ = jax.lax.scan(more, x, length=5)
        following = jax.lax.ppermute(x, "data", [(i, (i + 1) % 8) for i in range(8)])
        return jax.lax.all_gather(total, "data", tiled=True), following

    own = PartitionSpec("data")
    x = jax.ShapeDtypeStruct((8, 4), jnp.float32, sharding=NamedSharding(mesh, own))
    function = jax.shard_map(
        body, mesh=mesh, in_specs=own, out_specs=(PartitionSpec(), own), check_vma=False
    )
    program = read(jax.jit(function).lower(x).compile().as_text())
    assert program.loops == [5]
    assert summed(program.collectives) == {
        "all-reduce": {"operations": 5, "bytes": 5 * 4 * 4},
        "all-gather": {"operations": 1, "bytes": 8 * 4 * 4},
        "collective-permute": {"operations": 1, "bytes": 4 * 4},
    }


@pytest.mark.rest
def test_data_parallel_moves_gradients_once_and_means_of_batch_norms(
    mesh, small_recipe, small_dataset
):
    operations = {}
    for adapter in ("none", "tracked"):
        recipe = dataclasses.replace(small_recipe, adapter=adapter, batch_size=8, devices=8)
        task = open_task(recipe, small_dataset)
        found = read(lowered(task, mesh).compile().as_text()).collectives
        variables = jax.eval_shape(
            lambda key, frames, model=task.model: model.init(key, frames, 2),
            jax.random.key(0),
            jax.ShapeDtypeStruct((8, 2, *task.dataset.frame_shape), jnp.float32),
        )
        sizes = {
            name: 4 * sum(x.size for x in jax.tree.leaves(tree)) for name, tree in variables.items()
        }
        moved = summed(found)
        assert set(moved) == {"all-reduce"}
        # Batch norms: means and variances forward, backward two sums more.
        means = 4 * sizes["batch_stats"]
        assert 0 <= moved["all-reduce"]["bytes"] - sizes["params"] <= means
        assert not [each for each in found if "renderer" in each.where]
        operations[adapter] = moved["all-reduce"]["operations"]
    assert operations["tracked"] == operations["none"]


@pytest.mark.rest
@pytest.mark.parametrize("topology", ["8 x H200", "v5e 2x2"])
def test_a_small_step_compiles_for_devices_that_are_not_here(topology):
    if reason := missing(TOPOLOGIES[topology]):
        pytest.skip(reason)
    (case,) = [x for x in CASES if x[:3] == ("small", "tracked", topology)]
    row = compile_apart(case, minutes=20)
    assert "error" not in row, row["error"]
    assert set(row["collectives"]) == {"all-reduce"}
    assert row["flops"] > 1e7


def test_more_chips_are_less_efficient_and_more_so_beyond_a_group():
    row = {
        "flops": 1e12,
        "bytes_accessed": 1e10,
        "collectives": {"all-reduce": {"operations": 1, "bytes": 10**8}},
    }
    for chip in HARDWARE.values():
        shares = [efficiency(row, chip, count) for count in (1, 8, 64, 512)]
        assert shares[0] == 1
        assert shares == sorted(shares, reverse=True)
    gpu = HARDWARE["H200"]
    in_one = 2 * 1e8 * 7 / 8 / gpu.link + 6 * gpu.latency
    assert all_reduces(row, gpu, 8) == pytest.approx(in_one)
    assert all_reduces(row, gpu, 16) - in_one == pytest.approx(
        2 * 1e8 / 8 / 2 / gpu.between + 2 * gpu.latency
    )
