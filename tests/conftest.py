"""Settings that every test runs under, made before jax is imported."""

import os
from pathlib import Path

# Eight simulated devices, so that sharding is tested on one CPU. Most of the suite's time is
# compilation, and what is compiled runs once: LLVM need not optimise it.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

# Compiled programs outlive the session: a second run of the suite is several times faster.
jax.config.update("jax_compilation_cache_dir", str(Path(__file__).parent.parent / ".cache/jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
# A shape error should raise where it happens, not broadcast into something plausible.
jax.config.update("jax_numpy_rank_promotion", "raise")
