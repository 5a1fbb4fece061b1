"""The kernels of `jax_triton`, one a file. They import triton, so a launch imports them."""
