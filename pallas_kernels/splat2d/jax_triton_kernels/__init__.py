"""The kernels of `jax_triton`, one a file. They import triton, so they are imported at a launch."""
