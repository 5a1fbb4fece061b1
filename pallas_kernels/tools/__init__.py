"""Tools for those who develop the kernels: compile check, predictions, SASS, timing, records.

Nothing here is imported by the kernels.
"""
