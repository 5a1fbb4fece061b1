"""E3D-LSTM: Eidetic 3D LSTM (ICLR 2019): cells that recall all of their past by attention."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jax import Array

from pdr_jax.backbones.base import Card, Forcing, State
from pdr_jax.backbones.layers.gates import GatedCell, gated, remember
from pdr_jax.backbones.layers.initializers import LayerInit, pytorch_default
from pdr_jax.backbones.layers.norm import map_norm
from pdr_jax.backbones.recurrent_shell import RecurrentShell

WINDOW = 2  # frames that a cell sees at once


class E3DState(struct.PyTreeNode):
    """What E3D-LSTM carries from frame to frame; windows (B, WINDOW, H / p, W / p, width).

    Attributes:
      hiddens: each layer's last output, a window.
      pasts: each layer's cells so far, the newest last: (B, N, WINDOW, H / p, W / p, width).
      known: (B, N) bool, which of the N hold a cell; the others are room for later ones.
      memory: the one that goes through all layers, a window.
      last: the last input's patches (B, H / p, W / p, p p C), which begin the next window.
    """

    hiddens: tuple[Array, ...]
    pasts: tuple[Array, ...]
    known: Array
    memory: Array
    last: Array


def as_channels(window: Array) -> Array:
    """(B, WINDOW, H, W, C) -> (B, H, W, WINDOW * C)."""
    return jnp.concatenate([window[:, i] for i in range(WINDOW)], axis=-1)


@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=3)
def recall(query: Array, past: Array, known: Array, channels_first: bool) -> Array:
    """Attention over the past: softmax(query past^T) past.

    A token is a position in a window, of which there are P = WINDOW H W. The gradient computes the
    weights, (P, N P) for each sample, again.

    Args:
      query: (B, WINDOW, H, W, C).
      past: (B, N, WINDOW, H, W, C).
      known: (B, N) bool, what to attend to.
      channels_first: whether a token is C consecutive values of (C, WINDOW, H, W) instead.

    Returns:
      (B, WINDOW, H, W, C).
    """
    batch, channels = query.shape[0], query.shape[-1]
    if channels_first:
        query, past = (jnp.moveaxis(windows, -1, -4) for windows in (query, past))
    tokens = query.reshape(batch, -1, channels)
    past = past.reshape(batch, past.shape[1], -1, channels)
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("bqc,bnpc->bqnp", tokens, past, preferred_element_type=wide)
    scores = jnp.where(known[:, None, :, None], scores, -jnp.inf)
    weights = jax.nn.softmax(scores, axis=(-2, -1)).astype(past.dtype)
    found = jnp.einsum("bqnp,bnpc->bqc", weights, past).reshape(query.shape)
    return jnp.moveaxis(found, -4, -1) if channels_first else found


class EideticCell(GatedCell):
    """An LSTM of windows that adds to its cell what it recalls of all its past cells.

    Attributes:
      faithful: as `E3DLSTM`.
    """

    faithful: bool = False

    def gates(
        self, source: str, count: int, x: Array, initializer: LayerInit = pytorch_default
    ) -> list[Array]:
        """What a window (B, WINDOW, H, W, C) adds to `count` gates.

        A 3D convolution as long as the window and not padded in time gives one map for the whole
        window. It equals a 2D convolution of the window's frames stacked as channels.
        """
        return super().gates(source, count, as_channels(x), initializer)

    def as_state(self, out: Array) -> Array:
        """(B, H, W, C) -> (B, WINDOW, H, W, C); 1 in place of WINDOW where that broadcasts."""
        return jnp.repeat(out[:, None], WINDOW if self.layer_norm else 1, axis=1)

    @nn.compact
    def __call__(
        self, x: Array, hidden: Array, past: Array, known: Array, memory: Array
    ) -> tuple[Array, Array, Array]:
        """One step.

        Args:
          x: (B, WINDOW, H, W, C), from the layer below.
          hidden: (B, WINDOW, H, W, features), the last step's output.
          past: (B, N, WINDOW, H, W, features), the cells so far.
          known: (B, N) bool, which of them hold a cell.
          memory: as hidden, the one from the layer below.

        Returns:
          The new hidden, cell and memory.
        """
        i_x, g_x, r_x, o_x, i_xm, g_xm, f_xm = self.gates("x", 7, x)
        i_h, g_h, r_h, o_h = self.gates("h", 4, hidden)
        i_m, f_m, g_m, m_m = self.gates("gm", 4, memory)

        query = jnp.broadcast_to(jax.nn.sigmoid(r_x + r_h), hidden.shape)
        cell = past[:, -1] + recall(query, past, known, self.faithful)
        cell = map_norm(cell.ndim, cell.dtype, "norm")(cell) + gated(i_x + i_h, g_x + g_h)

        updated, _ = remember(jnp.tanh(m_m), i_xm + i_m, f_xm + f_m, g_xm + g_m)
        updated = jnp.broadcast_to(updated, memory.shape)
        (o_c,) = self.gates("new_cell", 1, cell)
        (o_m,) = self.gates("new_gm", 1, updated)
        output = jnp.tanh(o_x + o_h + o_c + o_m)
        hidden = gated(output, self.last(cell, updated))
        return hidden, cell, memory if self.faithful else updated


class E3DLSTM(RecurrentShell):
    """A stack of eidetic cells on windows of the last two frames.

    A state holds all cells of the past: `start` makes it with one, and `unroll` makes room for as
    many as it runs steps.

    Attributes:
      faithful: as the public code, never update the memory that goes through all layers, and cut
        the attention's tokens across positions and channels.
    """

    faithful: bool = False

    card = Card(
        title="Eidetic 3D LSTM: A Model for Video Prediction and Beyond",
        venue="ICLR 2019",
        link="https://openreview.net/forum?id=B1lKS2AqtX",
        source="OpenSTL c74deb5d, method E3DLSTM",
        faithful="Windows of two frames, so the 3D convolutions are 2D ones of both. The attention "
        "is not scaled. The public code trains with MSE + L1, here the loss mse_l1.",
        corrected="The memory that goes through all layers is updated; in the public code each "
        "cell returns the old one, so it stays zero. The attention's tokens are positions; in the "
        "public code they are C consecutive values of (C, WINDOW, H, W). faithful=True brings both "
        "back.",
    )

    def make_cells(self) -> list[EideticCell]:
        """A cell for each layer."""
        settings = self.cell_settings() | {"faithful": self.faithful}
        return [EideticCell(width, **settings) for width in self.num_hidden]

    def start(self, frames: Array) -> E3DState:
        """All zero, with one cell in each layer's past."""
        zero = self.zeros(frames, self.num_hidden[0])
        window = jnp.stack([zero] * WINDOW, axis=1)
        return E3DState(
            hiddens=(window,) * len(self.num_hidden),
            pasts=(window[:, None],) * len(self.num_hidden),
            known=jnp.ones((frames.shape[0], 1), bool),
            memory=window,
            last=self.zeros(frames, self.patch_size**2 * frames.shape[-1]),
        )

    def unroll(
        self,
        state: E3DState,
        frames: Array,
        horizon: int,
        train: bool = False,
        forcing: Forcing | None = None,
    ) -> tuple[State, Array]:
        """Runs on from a state, as the base does, with room for the cells to come."""
        steps = frames.shape[1] + horizon - 1

        def with_room(past: Array) -> Array:
            return jnp.pad(past, [(0, 0), (steps, 0)] + [(0, 0)] * (past.ndim - 2))

        state = state.replace(
            pasts=tuple(with_room(past) for past in state.pasts), known=with_room(state.known)
        )
        return super().unroll(state, frames, horizon, train, forcing)

    def advance(self, state: E3DState, x: Array, train: bool) -> tuple[State, Array]:
        """One step up the layers."""
        window = jnp.stack([state.last, x.astype(state.last.dtype)], axis=1)
        memory, hiddens, pasts = state.memory, [], []
        for layer, hidden, past in zip(self.cells, state.hiddens, state.pasts, strict=True):
            window, cell, memory = layer(window, hidden, past, state.known, memory)
            hiddens.append(window)
            pasts.append(newest(past, cell))
        following = E3DState(
            hiddens=tuple(hiddens),
            pasts=tuple(pasts),
            known=newest(state.known, jnp.ones_like(state.known[:, 0])),
            memory=memory,
            last=x,
        )
        return following, as_channels(window)


def newest(past: Array, item: Array) -> Array:
    """`past` (B, N, ...) without its oldest, and with `item` (B, ...) as its newest."""
    return jnp.concatenate([past[:, 1:], item[:, None].astype(past.dtype)], axis=1)
