"""The command line, one file a command; the only room that speaks of options."""

from pdr_jax.commands.main import main

__all__ = ["main"]
