"""The kernels of `jax_triton`, one a file. They import triton: import them where one is launched."""
