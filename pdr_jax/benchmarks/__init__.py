"""What was published for each benchmark: settings, figures and sizes of models."""

from pdr_jax.benchmarks.benchmark import METAFORMERS, Benchmark, Settings
from pdr_jax.benchmarks.settings import BENCHMARKS, TRAINING

__all__ = ["BENCHMARKS", "METAFORMERS", "TRAINING", "Benchmark", "Settings"]
