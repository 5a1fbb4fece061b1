"""Tools for those who develop the kernels: benchmark, tuning, compile check.

Nothing here is imported by the kernels.
"""
