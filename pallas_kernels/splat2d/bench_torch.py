"""The published baseline in PyTorch, as its users run it: a row of the benchmark."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

torch: Any = import_module("torch")


def grid_sample(mu, scale, rotation, amplitude, *, height, width, window):
    """Draws frames from the arguments of `grid_sample.grid_sample`, here with frames in front.

    Returns:
        (F, height, width, C).
    """
    frames, count, _ = amplitude.shape
    cos, sin = torch.cos(rotation), torch.sin(rotation)
    rotate = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    covariance = (rotate * scale[..., None, :] ** 2) @ rotate.mT
    axis = torch.linspace(-5, 5, window, dtype=mu.dtype, device=mu.device)
    lattice = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    inverse = torch.linalg.inv(covariance)
    kernel = torch.exp(-0.5 * torch.einsum("rqi,fnij,rqj->fnrq", lattice, inverse, lattice))
    kernel = kernel / (2 * torch.pi * torch.linalg.det(covariance).sqrt()[..., None, None])
    kernel = kernel / kernel.amax((-2, -1), keepdim=True)

    rows, columns = height - window, width - window
    margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    image = torch.nn.functional.pad(amplitude[..., None, None] * kernel[:, :, None], margins)
    image = image.flatten(0, 1)  # (F N, C, H, W)
    unmoved = torch.eye(2, dtype=mu.dtype, device=mu.device).expand(frames * count, 2, 2)
    theta = torch.cat([unmoved, mu.reshape(-1, 2, 1)], -1)
    grid = torch.nn.functional.affine_grid(theta, list(image.shape), align_corners=True)
    moved = torch.nn.functional.grid_sample(image, grid, align_corners=True)
    return moved.unflatten(0, (frames, count)).sum(1).permute(0, 2, 3, 1)


def passes(
    sets: list[tuple[np.ndarray, ...]], cotangent: np.ndarray, options: dict[str, int]
) -> dict[str, Callable[[int], Any]]:
    """The two functions to time, of the number of the call, on the GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = [[torch.tensor(x, device=device) for x in arrays] for arrays in sets]
    leaves = [[x.clone().requires_grad_() for x in arrays] for arrays in inputs]
    pulled = torch.tensor(cotangent, device=device)

    def forward(i):
        with torch.no_grad():
            return grid_sample(*inputs[i % len(inputs)], **options)

    def both(i):
        arrays = leaves[i % len(leaves)]
        out = grid_sample(*arrays, **options)
        return out, torch.autograd.grad(out, arrays, pulled)

    return {"forward": forward, "forward+backward": both}


def wait(out: Any) -> None:
    """Until all calls have ended."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_bytes(call: Callable[[int], Any]) -> int | None:
    """Device memory that a call takes beside its arguments; None on a CPU, where none is kept."""
    if not torch.cuda.is_available():
        return None
    wait(call(0))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    wait(call(0))
    return torch.cuda.max_memory_allocated() - before
