"""Tools for those who develop the kernels: compile check, SASS, timing, records of measurements.

Nothing here is imported by the kernels.
"""
