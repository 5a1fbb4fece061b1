"""Draws one clip of moving sprites: an analytic scene, sampled at pixel centres."""

import math

import numpy as np

SPRITES = 3
WAVES = 8  # plane waves that make up one texture

# Shortest and longest wave of a texture, in pixels, at every frame size. A blur of three pixels
# wipes out the shortest, which still is above Nyquist's 2: sub-pixel motion must not alias.
WAVELENGTHS = (3.0, 12.0)


def draw_clip(rng: np.random.Generator, *, length: int, size: int, channels: int) -> np.ndarray:
    """Draws one clip.

    Every texture is a sum of plane waves, evaluated at the point of the moving, turning sprite on
    which a pixel centre falls. Sub-pixel motion and rotation are therefore exact: nothing is
    interpolated. Later sprites cover earlier ones. Radii and speeds scale with the frame size.

    Args:
      rng: draws the scene; the clip is a function of its state.
      length: frames.
      size: height and width in pixels.
      channels: colour channels.

    Returns:
      (length, size, size, channels) uint8.
    """
    grid = np.arange(size, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    background = _Texture(rng, channels, mean=rng.uniform(0.4, 0.6, channels), contrast=0.14)
    frames = np.repeat(background(x, y)[np.newaxis], length, axis=0)
    for _ in range(SPRITES):
        radius = size * rng.uniform(0.14, 0.24)
        mean = 0.5 + rng.choice([-1, 1]) * rng.uniform(0.15, 0.35, channels)
        texture = _Texture(rng, channels, mean=mean, contrast=0.22)
        outline = _Outline(rng, radius)
        centre_x, centre_y, angle = _motion(rng, radius, size, length)
        cos, sin = np.cos(angle), np.sin(angle)
        dx, dy = x - centre_x, y - centre_y  # (T, H, W)
        # Only pixels in the sprite's bounding circle are drawn: (P,) of all frames.
        inside = np.nonzero(dx * dx + dy * dy < (1.3 * radius + 1) ** 2)
        dx, dy, cos, sin = dx[inside], dy[inside], cos[inside[0], 0, 0], sin[inside[0], 0, 0]
        u, v = cos * dx + sin * dy, cos * dy - sin * dx
        cover = outline(u, v)[:, np.newaxis]
        frames[inside] += cover * (texture(u, v) - frames[inside])
    return np.rint(255 * np.clip(frames, 0, 1)).astype(np.uint8)


def _motion(
    rng: np.random.Generator, radius: float, size: int, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y in pixels and the angle in radians, (T, 1, 1) each: constant speed, with bounces."""
    time = np.arange(length, dtype=np.float64)
    low, span = radius - 0.5, size - 2 * radius
    speed = size / 32 * rng.uniform(0.6, 1.8)
    heading = rng.uniform(0, 2 * math.pi)
    centre = []
    for velocity in (speed * math.cos(heading), speed * math.sin(heading)):
        # A straight path, folded at the walls: the period is the way there and back.
        phase = np.mod(rng.uniform(0, span) + velocity * time, 2 * span)
        centre.append(low + np.minimum(phase, 2 * span - phase))
    angle = rng.uniform(0, 2 * math.pi) + rng.uniform(-0.25, 0.25) * time
    x, y, turn = (a.astype(np.float32).reshape(-1, 1, 1) for a in (*centre, angle))
    return x, y, turn


class _Texture:
    """x, y (...) in pixels -> (..., channels), with this mean and standard deviation `contrast`."""

    def __init__(self, rng: np.random.Generator, channels: int, mean: np.ndarray, contrast: float):
        direction = rng.uniform(0, 2 * math.pi, WAVES)
        shortest, longest = WAVELENGTHS
        frequency = 2 * math.pi / shortest * (shortest / longest) ** rng.uniform(size=WAVES)
        self._kx = (frequency * np.cos(direction)).astype(np.float32)
        self._ky = (frequency * np.sin(direction)).astype(np.float32)
        self._phase = rng.uniform(0, 2 * math.pi, WAVES).astype(np.float32)
        # The channels of a texture are correlated, as in colour photographs.
        weight = rng.normal(size=(WAVES, 1)) + 0.5 * rng.normal(size=(WAVES, channels))
        # A sum of random waves has variance |weight|^2 / 2 in each channel.
        weight *= contrast / np.sqrt((weight**2).sum(0) / 2)
        self._weight = weight.astype(np.float32)
        self._mean = mean.astype(np.float32)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        waves = np.cos(x[..., np.newaxis] * self._kx + y[..., np.newaxis] * self._ky + self._phase)
        return waves @ self._weight + self._mean


class _Outline:
    """Coverage in [0, 1] by a lobed disc whose edge is one pixel wide; u, v: from its centre."""

    def __init__(self, rng: np.random.Generator, radius: float):
        self._radius = radius
        self._lobes = int(rng.integers(2, 6))
        self._depth = rng.uniform(0.05, 0.25)

    def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        edge = self._radius * (1 + self._depth * np.cos(self._lobes * np.arctan2(v, u)))
        return np.clip(edge - np.hypot(u, v) + 0.5, 0, 1).astype(np.float32)
