"""SEVIR's VIL: radar's view of storms over the United States, in events of four hours."""
