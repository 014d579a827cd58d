"""The last layers of the video transformer: convolutions that draw outlines which no token has room for.

Design decisions
* A patch of 768 numbers does not fit through a token of 256: the best linear map that narrow leaves 38 dB of clean
  patches, 32 where things are, and a star that moves by a third of a pixel is another patch. Convolutions draw the
  same star wherever it is.
* They see the transformer's guess, the noisy clip and what the tokens tell of each place, in cells of 2x2 pixels, and
  add to the guess; prompt and noise level turn each layer's features (FiLM, Perez et al. 2018), and each cell looks up
  the slot that is about it.
* Half way, layers on cells of 4x4 pixels see whole things, and frames further off.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.convolution import Convolution, LookUp, normalised, shifted

__all__ = ["Refiner"]

CELL = 2  # pixels a side
FAR = (1, 2, 1, 2)  # frames that each of the coarse layers looks back and ahead
PIXELS = 3 * CELL**2


class Refiner(nn.Module):
    """Corrects guesses of clean clips.

    ``width``: of the tokens and of the condition; ``patch``: frames, rows and columns of pixels that a token stands
    for; ``slots``: how many, and their width; ``told``: features that a token gives to each cell of its patch;
    ``inner``, ``depth``: of the convolutions; ``coarse``: width of those half way.
    """

    def __init__(
        self,
        width: int,
        patch: tuple[int, int, int],
        slots: tuple[int, int],
        *,
        told: int = 16,
        inner: int = 64,
        depth: int = 6,
        coarse: int = 128,
    ) -> None:
        super().__init__()
        self.block = (patch[0], patch[1] // CELL, patch[2] // CELL)
        frames, rows, columns = self.block
        self.tell = nn.Linear(width, frames * rows * columns * told)
        self.first = Convolution(2 * PIXELS + told + 1, inner)
        self.turn = nn.Linear(width, 2 * depth * inner)
        self.layers = nn.ModuleList([Convolution(inner, inner) for _ in range(depth)])
        self.look = nn.ModuleList([LookUp(inner, *slots) for _ in range(depth // 2)])
        self.fold = nn.Linear(4 * inner, coarse)
        self.turn_far = nn.Linear(width, 2 * len(FAR) * coarse)
        self.far = nn.ModuleList([Convolution(coarse, coarse) for _ in FAR])
        self.unfold = nn.Linear(coarse, 4 * inner)
        self.last = Convolution(inner, PIXELS)
        for layer in (self.turn, self.turn_far, self.unfold, self.last):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.unfold.bias)

    def forward(
        self, guess: Tensor, noisy: Tensor, tokens: Tensor, condition: Tensor, level: Tensor, slots: Tensor
    ) -> Tensor:
        """``guess`` and ``noisy`` (B x T x H x W x 3), video tokens (B x N x width), condition (B x width), each
        frame's share of noise (B x T) and slots (B x slots x width) to clips, shaped as ``guess``.
        """
        batch, count, height, wide = guess.shape[:4]
        rows, columns = height // CELL, wide // CELL
        told = self._unfolded(self.tell(tokens), (batch, count, rows, columns))
        share = level.to(told.dtype)[..., None, None, None].expand(-1, -1, rows, columns, 1)
        seen = torch.cat([_cells(guess).to(told.dtype), _cells(noisy).to(told.dtype), told, share], -1)
        h = 2.0 * self.first(seen.flatten(0, 1).permute(0, 3, 1, 2))
        asked = slots.to(h.dtype).repeat_interleave(count, 0)
        turns = _turns(self.turn(condition), count, len(self.layers))
        for i, layer in enumerate(self.layers):
            if i < len(self.look):
                h = h + self.look[i](normalised(h), asked)
            if i == len(self.layers) // 2:
                h = h + self._far(h, condition, count)
            h = h + functional.silu(layer(_turned(shifted(h, count), *turns[i])))
        out = self.last(normalised(h)).permute(0, 2, 3, 1).view(batch, count, rows, columns, CELL, CELL, 3)
        clean: Tensor = guess + out.permute(0, 1, 2, 4, 3, 5, 6).reshape(guess.shape)
        return clean

    def _far(self, h: Tensor, condition: Tensor, count: int) -> Tensor:
        """What the coarse layers make of features (B*T x C x H x W), shaped alike."""
        folded = functional.pixel_unshuffle(normalised(h), 2).permute(0, 2, 3, 1)
        x = self.fold(folded).permute(0, 3, 1, 2)
        turns = _turns(self.turn_far(condition), count, len(self.far))
        for by, layer, turn in zip(FAR, self.far, turns, strict=True):
            x = x + functional.silu(layer(_turned(shifted(x, count, by), *turn)))
        return functional.pixel_shuffle(self.unfold(normalised(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 2)

    def _unfolded(self, told: Tensor, size: tuple[int, int, int, int]) -> Tensor:
        """What the tokens tell (B x N x values) as B x T x rows x columns x told."""
        batch, count, rows, columns = size
        t, h, w = self.block
        x = told.view(batch, count // t, rows // h, columns // w, t, h, w, -1)
        return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(*size, -1)


def _cells(clip: Tensor) -> Tensor:
    """B x T x H x W x 3 to B x T x H/2 x W/2 x 12."""
    batch, count, height, wide = clip.shape[:4]
    x = clip.view(batch, count, height // CELL, CELL, wide // CELL, CELL, 3).permute(0, 1, 2, 4, 3, 5, 6)
    return x.reshape(batch, count, height // CELL, wide // CELL, PIXELS)


def _turns(condition: Tensor, count: int, layers: int) -> list[tuple[Tensor, Tensor]]:
    """Scale and shift of each layer (B*T x C x 1 x 1) of a clip's (B x values)."""
    values = condition[:, None].expand(-1, count, -1).flatten(0, 1)[..., None, None].chunk(2 * layers, 1)
    return list(zip(values[::2], values[1::2], strict=True))


def _turned(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return normalised(x) * (1 + scale) + shift
