"""How the decoder draws things: where each is and how it looks is found on the small grid, and it is painted there.

Design decisions
* On the small grid a thing is a blot of a few pixels, from which convolutions had to draw its outline anew at every
  place where it can be. Here a star is learnt once: :class:`Finder` tells each thing's :data:`LOOK` (its place, size,
  turn, kind, colour) and :class:`Painter` is a function of the point in the thing's own coordinates (an implicit shape,
  as in Park et al. 2019, "DeepSDF", and in the spatial broadcast decoder of Watters et al. 2019).
* Everything in a look is a quantity with a meaning. The renderer knows it, so both networks learn from truth directly,
  and not through each other.
* The painter is not told colours: it says which share of the thing's colour a point has, and what is added to it. Pairs
  of colour and kind are then no matter of learning.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from countermark.generate.captions import FIELDS
from countermark.generate.convolution import normalised
from countermark.generate.text import FIRST, SLOT_SCALE, SLOT_WIDTH
from countermark.generate.world import EVENTS, KINDS, TALL

__all__ = ["AT", "FIRM", "FLAGS", "LOOK", "LOOKS", "Finder", "Painter", "colourless", "paint", "part"]

# what a look is made of, in its order, with how many numbers each has
LOOK = {
    "place": 2,  # x and y of the centre in units of the frame
    "size": 1,  # natural logarithm of the radius in units of the frame
    "turn": 2,  # cosine and sine
    "gait": 2,  # cosine and sine; both 0 of what does not walk
    "colour": 3,  # red, green and blue, 0..1
    "front": 1,  # y of its lower edge: what is further down is in front
    "there": 1,  # these five are flags, as logits
    "whole": 1,  # not bitten, popped or dark
    "tall": 1,  # a box that can fall
    "left": 1,  # faces left
    "photorealistic": 1,
    "kind": len(KINDS),  # logits
}
LOOKS = sum(LOOK.values())
FINE = {"place": 0.1, "size": 0.2, "colour": 0.3, "front": 0.2}  # of a layer's output: what must be told exactly
AT = dict(zip(LOOK, torch.tensor([0, *LOOK.values()]).cumsum(0).tolist(), strict=False))
FLAGS = ("there", "whole", "tall", "left", "photorealistic")
TOLD = 2 + 2 + len(FLAGS) - 1 + len(KINDS) + 1  # numbers that modulate the painter
STILL = 2  # motions of a caption that are none: left open, and "still"
MOVES = FIELDS["motion"][STILL:]
WAVES = (1.0, 2.0, 4.0)  # half cycles a radius, of the sines that tell a point
POINT = 6 + 4 * len(WAVES)
REACH = 1.35  # radii about a thing's centre that are painted
FIRM = 10.0  # logits of what is certain
KEEN = 4.0  # times the logits of attention: a blot is few of many cells
SHARP = 4.0  # times the logits of what is covered: edges are a pixel wide


def part(look: Tensor, name: str) -> Tensor:
    """The numbers of a look (... x 25) that have a name."""
    return look[..., AT[name] : AT[name] + LOOK[name]]


def colourless(width: int = SLOT_WIDTH) -> Tensor:
    """A mask of slot vectors, 0 where they tell colours."""
    mask = torch.ones(width)
    mask[FIRST["colour"] : FIRST["colour"] + len(FIELDS["colour"])] = 0
    return mask


class Finder(nn.Module):
    """Features of small frames to the looks of what the slots name."""

    colourless: Tensor
    cells: Tensor
    steps: Tensor

    def __init__(self, width: int, clock: int, size: int, inner: int = 64, hidden: int = 192) -> None:
        super().__init__()
        self.register_buffer("colourless", colourless(), persistent=False)
        at = (torch.arange(size) + 0.5) / size
        places = torch.stack([at.repeat(size), at.repeat_interleave(size)], 1)
        self.register_buffer("cells", places, persistent=False)
        self.ask = nn.Linear(2 * SLOT_WIDTH, inner)
        steps = torch.cat([torch.full((count,), FINE.get(name, 1.0)) for name, count in LOOK.items()])
        self.register_buffer("steps", steps, persistent=False)
        self.key = nn.Linear(width, inner, bias=False)
        self.tell = nn.Linear(width, inner, bias=False)
        told = inner + 3 + 6 + 2 * SLOT_WIDTH + len(MOVES) * clock
        self.read = nn.Sequential(
            nn.Linear(told, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, sum(LOOK.values())),
        )

    def forward(self, features: Tensor, small: Tensor, slots: Tensor, clock: Tensor) -> tuple[Tensor, Tensor]:
        """Features N x C x H x W, small frames N x 3 x H x W (-1..1), slots N x 4 x width and clocks N x 13, the first
        number of which is the time (0..1), to looks, N x 3 x 25, and the logarithms of the shares of their attention
        that cells have, N x 3 x HW: a slot's thing attends to its blot, whose middle is where it is at first.
        """
        cells = normalised(features).flatten(2).transpose(1, 2)
        scene, things = slots[:, :1].expand(-1, 3, -1), slots[:, 1:]
        asked = self.ask(torch.cat([things, scene], 2))
        attention = (KEEN * asked @ self.key(cells).transpose(1, 2) / asked.shape[-1] ** 0.5).log_softmax(-1)
        # squared, else what little attention lies elsewhere would draw all places to the middle
        share = (2 * attention).softmax(-1)
        place = share @ self.cells
        wide, tall = (share @ self.cells**2 - place**2).clamp_min(1e-4).split(1, -1)
        tilt = share @ self.cells.prod(1, keepdim=True) - place.prod(-1, keepdim=True)
        form = torch.cat([wide.log() + 5, tall.log() + 5, tilt / (wide * tall).sqrt()], -1)  # of the blot
        seen = (share @ small.flatten(2).transpose(1, 2) + 1) / 2
        named = torch.cat([things * self.colourless, scene], 2)
        # where in its motion a thing is; of what stands, the time would only tell what has most often happened by then
        moves = things[..., FIRST["motion"] + STILL : FIRST["motion"] + STILL + len(MOVES)]
        moment = (moves[..., None] * clock[:, None, None]).flatten(2) / 2
        told = torch.cat([share @ self.tell(cells), seen, place, form, share.amax(-1, True), named, moment], 2)
        out: Tensor = self.read(told) * self.steps
        sure = things[..., FIRST["kind"] + 1 : FIRST["kind"] + 1 + len(KINDS)]  # what the prompt says goes
        spins = moves[..., MOVES.index("spin"), None] / SLOT_SCALE
        angle = 2 * math.pi * clock[:, 0]  # what spins turns once a scene
        once, upright = torch.stack([angle.cos(), angle.sin()], 1)[:, None], torch.tensor([1.0, 0.0])
        # a box that is knocked over lies as far as its blot does, to where the ball rolls
        way = (moves[..., MOVES.index("right")] - moves[..., MOVES.index("left")]).sum(1)[:, None, None] / SLOT_SCALE
        knocked = scene[..., FIRST["event"] + EVENTS.index("knock"), None] * sure[..., KINDS.index("box"), None]
        angle = math.pi / 2 * (0.35 * (wide / tall).log() / math.log(TALL) + 0.5).clamp(0, 1)  # blots are blurred
        lying = torch.cat([angle.cos(), way.sign() * angle.sin()], -1)
        turn = upright + spins * (once - upright) + way.abs() * knocked / SLOT_SCALE**2 * (lying - upright)
        base = [
            (0, place), (AT["size"], out.new_full((*out.shape[:2], 1), math.log(0.17))), (AT["colour"], seen),
            (AT["turn"], turn), (AT["kind"], 3 * sure),
        ]  # fmt: skip
        known = torch.zeros_like(out)
        for first, values in base:
            known[..., first : first + values.shape[-1]] = values
        return out + known, attention


class Painter(nn.Module):
    """What points of things look like: a coordinate network whose layers a look modulates."""

    def __init__(self, width: int = 96, depth: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(POINT, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        turns = nn.Linear(128, (depth + 1) * 2 * width)
        self.turn = nn.Sequential(nn.Linear(TOLD, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), turns)
        self.last = nn.Linear(width, 5)

    def forward(self, look: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Looks N x 25 and points N x P x 2 (x and y, units of the frame) to colours, N x P x 3, 0..1, and logits of
        how far a point is covered, N x P.
        """
        centre, radius = part(look, "place")[:, None], part(look, "size").exp()[:, None]
        near = (points - centre) / radius
        cos, sin = functional.normalize(part(look, "turn"), dim=-1)[:, None].unbind(-1)
        turned = torch.stack([near[..., 0] * cos + near[..., 1] * sin, near[..., 1] * cos - near[..., 0] * sin], -1)
        angles = math.pi * torch.cat([turned * wave for wave in WAVES], -1)
        h = self.first(torch.cat([near, turned, points - 0.5, angles.sin(), angles.cos()], -1))
        flags = torch.cat([part(look, name) for name in FLAGS[1:]], -1).sigmoid() * 2 - 1
        kind = part(look, "kind").softmax(-1)
        told = torch.cat(
            [part(look, "turn"), part(look, "gait"), flags, 3 * kind, 10 * (part(look, "size").exp() - 0.17)], -1
        )
        turns = self.turn(told)[:, None].chunk(2 * (len(self.layers) + 1), -1)
        h = functional.silu(h * (1 + turns[0]) + turns[1])
        for i, layer in enumerate(self.layers, start=1):
            h = h + functional.silu(layer(h) * (1 + turns[2 * i]) + turns[2 * i + 1])
        out = self.last(h)
        colour = out[..., :1] * part(look, "colour")[:, None] + out[..., 1:4]
        return colour, SHARP * out[..., 4]


def paint(painter: Painter, looks: Tensor, frames: Tensor) -> None:
    """Paints the things of a clip onto its frames (T x 3 x S x S, -1..1) in place; ``looks``: T x 3 x 25.

    What a thing is does not change over a clip, only where and how it is: kind, colour and such are means over time.
    """
    side = frames.shape[-1]
    sure = part(looks, "whole").sigmoid().clamp_min(1e-3)
    means = looks.mean(0)
    means[:, AT["colour"] : AT["colour"] + 3] = (part(looks, "colour") * sure).sum(0) / sure.sum(0)
    steady = looks.clone()
    for name in ("colour", "front", "there", "tall", "left", "photorealistic", "kind"):
        steady[..., AT[name] : AT[name] + LOOK[name]] = part(means, name)
    there = part(means, "there")[:, 0] > 0
    steady[..., AT["photorealistic"]] = means[there, AT["photorealistic"]].sum()  # one style for all
    for name in FLAGS:
        steady[..., AT[name]] = FIRM * steady[..., AT[name]].sign()
    kinds = functional.one_hot(part(means, "kind").argmax(-1), len(KINDS))
    steady[..., AT["kind"] : AT["kind"] + len(KINDS)] = FIRM * (2.0 * kinds - 1)
    for index in part(means, "front")[:, 0].argsort().tolist():
        if there[index]:
            for look, frame in zip(steady[:, index], frames, strict=True):
                _paint_one(painter, look, frame, side)


def _paint_one(painter: Painter, look: Tensor, frame: Tensor, side: int) -> None:
    """Paints a thing (25) onto a frame (3 x S x S) in place."""
    x, y = (part(look, "place") * side).tolist()
    half = REACH * math.exp(float(part(look, "size"))) * side
    left, top = max(0, math.floor(x - half)), max(0, math.floor(y - half))
    right, bottom = min(side, math.ceil(x + half)), min(side, math.ceil(y + half))
    if left >= right or top >= bottom:
        return
    rows, columns = torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5
    points = torch.stack(torch.meshgrid(columns / side, rows / side, indexing="xy"), -1)
    colour, cover = painter(look[None], points.view(1, -1, 2))
    share = cover.sigmoid().view(1, bottom - top, right - left)
    own = colour[0].T.reshape(3, *share.shape[1:]) * 2 - 1
    frame[:, top:bottom, left:right].lerp_(own, share.expand_as(own))
