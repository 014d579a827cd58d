"""What the decoder's finder learns from: how the things of a scene look, as the renderer knows it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from countermark.generate.render import seen_pose, thing_light
from countermark.generate.things import AT, FIRM, FLAGS, LOOK, LOOKS, part
from countermark.generate.world import KINDS, TALL, WALKERS, Scene, Thing, sample_scene

__all__ = ["attention_loss", "look_loss", "teaching_scene", "true_looks"]

SLOTS = 3
WEIGHTS = {"place": 30.0, "size": 3.0, "turn": 4.0, "gait": 0.5, "colour": 3.0, "front": 5.0}  # of mean errors
EVENTS, KNOCKS, SPINS = 0.2, 0.15, 0.1  # shares of scenes: a box falls in four frames of 32, and few things spin
ASKED = 1.0  # weight of the flags' and the kind's cross-entropy


def teaching_scene(rng: np.random.Generator) -> Scene:
    """A random scene, where events and spinning, which take the most learning, are more often than in the world."""
    which = rng.choice(["event", "knock", "spin", ""], p=[EVENTS, KNOCKS, SPINS, 1 - EVENTS - KNOCKS - SPINS])
    layout = {"event": "event", "knock": "event", "spin": "single"}.get(str(which))
    scene = sample_scene(rng, layout=layout, event="knock" if which == "knock" else None)
    while which == "spin" and scene.things[0].motion != "spin":
        scene = sample_scene(rng, layout=layout)
    return scene


def true_looks(scene: Scene, things: Sequence[Thing], times: npt.NDArray[np.float32]) -> Tensor:
    """Looks of things, in the order of a caption, at T times: T x 3 x 25, with FIRM logits; those of no thing are 0 but
    for ``there``.
    """
    looks = torch.zeros(len(times), SLOTS, LOOKS)
    looks[..., AT["there"]] = -FIRM
    for index, thing in enumerate(things):
        where, radius = seen_pose(scene, thing, times)
        gait = 2 * np.pi * where.gait
        walks = thing.kind in WALKERS and thing.motion in ("left", "right")
        colour = colorsys.hsv_to_rgb(thing.hue / 360 % 1.0, thing.saturation, thing.value)
        values = {
            "place": np.stack([where.x, where.y], 1),
            "size": np.log(radius)[:, None],
            "turn": np.stack([np.cos(where.turn), np.sin(where.turn)], 1),
            "gait": np.stack([np.cos(gait), np.sin(gait)], 1) * walks,
            "colour": np.array(colour)[None] * thing_light(scene),
            "front": np.array([[thing.y + thing.radius]]),
            "there": np.array([[FIRM]]),
            "whole": np.where(where.whole > 0.5, FIRM, -FIRM)[:, None],
            "tall": np.array([[FIRM if thing.fate == "falls" else -FIRM]]),
            "left": np.array([[FIRM if thing.motion == "left" else -FIRM]]),
            "photorealistic": np.array([[FIRM if scene.style == "photorealistic" else -FIRM]]),
            "kind": np.where(np.array(KINDS) == thing.kind, FIRM, -FIRM)[None],
        }
        for name, value in values.items():
            looks[:, index, AT[name] : AT[name] + LOOK[name]] = torch.from_numpy(np.asarray(value)).float()
    return looks


def look_loss(found: Tensor, true: Tensor) -> Tensor:
    """How far looks (T x 3 x 25, logits as they are) are from true ones; of a thing that is gone only that it is."""
    flags = torch.cat([part(true, name) for name in FLAGS], -1) > 0
    there, seen = flags[..., :1].float(), _seen(true)
    count = seen.sum().clamp_min(1)
    loss = torch.zeros(())
    for name, weight in WEIGHTS.items():
        error = (part(found, name) - part(true, name)).abs().mean(-1, True)
        loss = loss + weight * (error * seen).sum() / count
    asked = torch.cat([part(found, name) for name in FLAGS], -1)
    wrong = functional.binary_cross_entropy_with_logits(asked, flags.float(), reduction="none")
    loss = loss + ASKED * (wrong[..., :1].mean() + (wrong[..., 1:] * there).sum() / there.sum())
    kinds = functional.cross_entropy(
        part(found, "kind").flatten(0, 1), part(true, "kind").argmax(-1).flatten(), reduction="none"
    )
    return loss + ASKED * (kinds * seen.flatten()).sum() / count


def attention_loss(attention: Tensor, true: Tensor, cells: Tensor) -> Tensor:
    """How far attention (T x 3 x HW, logarithms of shares) is from lying evenly on what things fill, discs and, of
    boxes that can fall, rectangles (Kullback-Leibler divergence); ``cells``: their middles, HW x 2.
    """
    radius = part(true, "size").exp()
    x, y = (cells - part(true, "place")[..., None, :]).unbind(-1)
    cos, sin = part(true, "turn").chunk(2, -1)
    across, along = (x * cos + y * sin).abs(), (y * cos - x * sin).abs()
    rectangle = torch.maximum(across + radius * (1 - 1 / TALL), along)
    far = torch.where(part(true, "tall") > 0, rectangle, torch.hypot(x, y))
    filled = ((radius - far) * len(cells) ** 0.5 + 0.5).clamp(0, 1)
    seen = _seen(true)[..., 0] * (filled.sum(-1) > 0)
    share = filled / filled.sum(-1, keepdim=True).clamp_min(1e-6)
    apart = functional.kl_div(attention, share, reduction="none").sum(-1)
    mean: Tensor = (apart * seen).sum() / seen.sum().clamp_min(1)
    return mean


def _seen(true: Tensor) -> Tensor:
    """Whether each thing can be seen, T x 3 x 1: it is there, and no balloon that has popped."""
    there, whole = (part(true, name) > 0 for name in ("there", "whole"))
    return (there & ((part(true, "kind").argmax(-1, True) != KINDS.index("balloon")) | whole)).float()
