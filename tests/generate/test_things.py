from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from countermark.generate.captions import FIELDS
from countermark.generate.render import render, render_thing, seen_pose
from countermark.generate.text import FIRST, SLOT_SCALE, SLOT_WIDTH
from countermark.generate.things import AT, FIRM, LOOK, LOOKS, Finder, Painter, paint, part
from countermark.generate.world import KINDS, sample_scene
from countermark.training._looks import attention_loss, look_loss, true_looks


class Discs(Painter):
    """Discs in the colour that a look has, half as bright where they are not whole."""

    def forward(self, look: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        far = (points - part(look, "place")[:, None]).norm(dim=-1) / part(look, "size").exp()
        colour = part(look, "colour") * (0.5 + 0.5 * (part(look, "whole") > 0))
        return colour[:, None].expand(*points.shape[:2], 3), 50 * (1 - far)


def look(x: float, y: float, colour: tuple[float, float, float], front: float = 0.8) -> Tensor:
    one = torch.zeros(LOOKS)
    one[AT["place"] : AT["place"] + 2] = torch.tensor([x, y])
    one[AT["size"]] = np.log(0.2)
    one[AT["colour"] : AT["colour"] + 3] = torch.tensor(colour)
    one[AT["front"]] = front
    one[[AT["there"], AT["whole"]]] = FIRM
    return one


def painted(*clip: list[Tensor]) -> Tensor:
    nothing = torch.zeros(LOOKS)
    nothing[AT["there"]] = -FIRM
    looks = torch.stack([torch.stack([*moment, *[nothing] * (3 - len(moment))]) for moment in clip])
    frames = torch.zeros(len(clip), 3, 50, 50)
    with torch.inference_mode():
        paint(Discs(), looks, frames)
    return frames


Forward = Callable[[Discs, Tensor, Tensor], tuple[Tensor, Tensor]]
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def test_things_are_painted_where_they_are_and_nowhere_else():
    frames = painted([look(0.3, 0.5, RED)], [look(0.9, 0.98, RED)])
    assert torch.allclose(frames[0, :, 25, 15], torch.tensor([1.0, -1.0, -1.0]), atol=1e-3)
    assert (frames[0, :, :, 30:] == 0).all()
    assert torch.allclose(frames[1, :, 49, 45], torch.tensor([1.0, -1.0, -1.0]), atol=1e-3), "cut off by the edge"
    assert (painted([look(3.0, 0.5, RED)]) == 0).all(), "out of sight"


def test_what_stands_further_down_is_in_front():
    for nearer, farther in ((0, 1), (1, 0)):
        things = [look(0.5, 0.5, RED, 0.8 - 0.1 * nearer), look(0.55, 0.5, BLUE, 0.8 - 0.1 * farther)]
        middle = painted(things)[0, :, 25, 26]
        assert middle[2 * nearer] > 0.99
        assert middle[2 * farther] < -0.99


def test_what_a_thing_is_stays_over_a_clip_and_what_happens_to_it_does_not():
    clip = [[look(0.5, 0.5, (0.9, 0.1, 0.0))], [look(0.5, 0.5, (0.7, 0.3, 0.0))], [look(0.5, 0.5, (0.2, 0.2, 0.2))]]
    clip[2][0][AT["whole"]] = -FIRM  # popped, say: what colour was found there is of something else
    frames = painted(*clip)
    assert torch.allclose(frames[0], frames[1])
    assert torch.allclose((frames[0, :2, 25, 25] + 1) / 2, torch.tensor([0.8, 0.2]), atol=1e-2)
    assert torch.allclose((frames[2, :2, 25, 25] + 1) / 2, torch.tensor([0.4, 0.1]), atol=1e-2)
    gone = [[one[0].clone()] for one in clip]
    for moment in gone[1:]:
        moment[0][AT["there"]] = -FIRM
    assert (painted(*gone) == 0).all(), "most frames say that it is not there"


def test_all_things_of_a_clip_are_of_one_style(monkeypatch: pytest.MonkeyPatch):
    seen: list[float] = []
    monkeypatch.setattr(Discs, "forward", _watched(Discs.forward, seen))
    things = [look(0.3, 0.5, RED), look(0.7, 0.5, BLUE)]
    things[0][AT["photorealistic"]], things[1][AT["photorealistic"]] = 3.0, -2.0
    painted(things)
    assert seen == [FIRM, FIRM]


def _watched(forward: Forward, seen: list[float]) -> Forward:
    def watched(self: Discs, look: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(float(part(look, "photorealistic")[0]))
        return forward(self, look, points)

    return watched


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_is_what_is_behind_and_its_things(seed: int):
    scene = sample_scene(np.random.default_rng(seed))
    times = np.array([0.2, 0.7], np.float32)
    whole = np.stack([render(scene, 64, span=(t, t), frames=1)[0] for t in times])
    built = np.stack([render(scene, 64, span=(t, t), frames=1, bare=True)[0] for t in times]).astype(float)
    for thing in sorted(scene.things, key=lambda one: one.y + one.radius):
        where, colour, cover = render_thing(scene, thing, times, 64)
        pixels = np.round(where * 64 - 0.5).astype(int)
        inside = ((pixels >= 0) & (pixels < 64)).all(-1)
        for frame, at, ok, own, alpha in zip(built, pixels, inside, colour, cover, strict=True):
            x, y, a = at[ok][:, 0], at[ok][:, 1], alpha[ok][:, None]
            frame[y, x] = frame[y, x] * (1 - a) + 255 * np.clip(own[ok], 0, 1) * a
    assert np.abs(built - whole).max() < 3
    assert np.abs(whole.astype(float) - render(scene, 64, frames=1, bare=True)).max() > 30


def test_true_looks_are_right_and_others_are_not():
    rng = np.random.default_rng(3)
    times = np.linspace(0, 1, 8, dtype=np.float32)
    for _ in range(20):
        scene = sample_scene(rng)
        looks = true_looks(scene, scene.things, times)
        assert look_loss(looks, looks) < 1e-3
        for index, thing in enumerate(scene.things):
            where, radius = seen_pose(scene, thing, times)
            assert np.allclose(part(looks[:, index], "place").numpy(), np.stack([where.x, where.y], 1), atol=1e-5)
            assert np.allclose(part(looks[:, index], "size").exp()[:, 0].numpy(), radius, atol=1e-4)
            assert KINDS[int(part(looks[0, index], "kind").argmax())] == thing.kind
        assert (part(looks, "there")[0, :, 0] > 0).sum() == len(scene.things)
        for name in LOOK:
            wrong = looks.clone()
            wrong[:, 0, AT[name]] = 0.3 - wrong[:, 0, AT[name]]
            assert look_loss(wrong, looks) > look_loss(looks, looks) + 0.01, name


def test_what_spins_turns_once_a_scene_as_the_prompt_says_before_anything_is_learnt():
    finder = Finder(8, 13, 8)
    torch.nn.init.zeros_(finder.read[4].weight)
    torch.nn.init.zeros_(finder.read[4].bias)
    slots = torch.zeros(3, 4, SLOT_WIDTH)
    slots[:, 1, FIRST["motion"] + FIELDS["motion"].index("spin")] = SLOT_SCALE
    times = torch.tensor([0.0, 0.25, 0.6])
    clock = torch.cat([times[:, None], torch.zeros(3, 12)], 1)
    looks, _ = finder(torch.rand(3, 8, 8, 8), torch.rand(3, 3, 8, 8), slots, clock)
    angle = 2 * torch.pi * times
    assert torch.allclose(part(looks, "turn")[:, 0], torch.stack([angle.cos(), angle.sin()], 1), atol=1e-5)
    assert torch.allclose(part(looks, "turn")[:, 1], torch.tensor([1.0, 0.0]), atol=1e-5)


@pytest.mark.parametrize("way", ["left", "right"])
def test_a_box_that_is_knocked_over_lies_as_its_blot_does_to_where_the_ball_rolls(way: str):
    finder = Finder(3, 13, 16)
    for layer in (finder.ask, finder.read[4]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.ones_(finder.ask.bias)
    torch.nn.init.zeros_(finder.key.weight)
    torch.nn.init.constant_(finder.key.weight[:, 0], 1.0)  # attends to what the first channel shows
    slots = torch.zeros(2, 4, SLOT_WIDTH)
    for slot, field, value in (
        (0, "event", "knock"), (1, "kind", "ball"), (1, "motion", way), (2, "kind", "box"), (2, "motion", "still"),
    ):  # fmt: skip
        slots[:, slot, FIRST[field] + FIELDS[field].index(value)] = SLOT_SCALE
    blots = torch.zeros(2, 3, 16, 16)
    blots[:, 1] = 1.0
    for blot, cut in zip(blots, ((slice(4, 12), slice(6, 11)), (slice(6, 11), slice(4, 12))), strict=True):
        blot[0][cut], blot[1][cut] = 1.0, 0.0  # stands, and lies
    turn = part(finder(blots, blots, slots, torch.zeros(2, 13))[0], "turn")
    upright = torch.tensor([1.0, 0.0])
    assert torch.allclose(turn[0, 1], upright, atol=0.05)
    assert torch.allclose(turn[1, 1], torch.tensor([0.0, 1.0 if way == "right" else -1.0]), atol=0.05)
    assert torch.allclose(turn[:, 0], upright), "balls do not fall"
    slots[:, 0] = 0
    assert torch.allclose(part(finder(blots, blots, slots, torch.zeros(2, 13))[0], "turn")[1, 1], upright)


def test_a_finder_learns_where_a_blot_is():
    torch.manual_seed(0)
    finder = Finder(8, 2, 8)
    rng = np.random.default_rng(0)
    optimiser = torch.optim.Adam(finder.parameters(), 3e-3)
    errors: list[float] = []
    for _ in range(300):
        cells = torch.from_numpy(rng.integers(1, 7, (32, 2)))
        small = -torch.ones(32, 3, 8, 8)
        small[torch.arange(32), 0, cells[:, 1], cells[:, 0]] = 1.0
        features = torch.cat([small, torch.ones(32, 5, 8, 8)], 1)
        found, attention = finder(features, small, torch.zeros(32, 4, finder.colourless.numel()), torch.zeros(32, 2))
        true = torch.zeros(32, 3, LOOKS)
        true[:, 0] = look(0, 0, RED)
        true[:, 0, :2] = (cells + 0.5) / 8
        true[:, :, AT["size"]] = -3.0
        error = (part(found, "place")[:, 0] - part(true, "place")[:, 0]).abs().mean()
        optimiser.zero_grad()
        (error + attention_loss(attention, true, finder.cells)).backward()
        optimiser.step()
        errors.append(error.item())
    assert np.mean(errors[-10:]) < 0.02 < np.mean(errors[:10])
