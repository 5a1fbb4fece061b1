"""The kernels of `jax_triton`, one a file. They import triton: import them where one is launched.

Tensors of pixels have three axes, (columns of a thread, rows, threads along a row), so that Triton
gives a thread `ACROSS` pixels of each of its rows and terms of a row are computed once for them.
"""
