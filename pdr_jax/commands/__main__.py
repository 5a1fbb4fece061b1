"""`python -m pdr_jax.commands`, where `pdr` is not on the path."""

from pdr_jax.commands.main import main

main()
