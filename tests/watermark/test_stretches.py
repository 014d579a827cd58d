"""Which seconds carry a mark, and which."""

import numpy as np
import pytest

from countermark.watermark import Embedder, Key, embed, read

KEY = Key(bytes(range(32)))
FPS = 12


@pytest.fixture(scope="module")
def scenes(clip):
    """Three unmarked scenes of three seconds at 12 frames a second."""
    return [clip(3 * FPS, 192, 256, seed=seed) for seed in (1, 2, 3)]


def test_a_stretch_spliced_into_unmarked_footage_is_found(scenes):
    marked = embed(scenes[1], 77, KEY, fps=FPS)
    film = np.concatenate([scenes[0], marked, scenes[2]])
    reading = read(film, KEY, fps=FPS)
    assert (reading.tier, reading.payload) == ("payload", 77)
    (stretch,) = reading.stretches
    assert stretch.payload == 77
    assert (stretch.start, stretch.end) == (pytest.approx(3, abs=0.5), pytest.approx(6, abs=0.5))
    assert reading.to_json()["stretches"] == [
        {"start": stretch.start, "end": stretch.end, "payload": "000000000000004d"}
    ]


def test_two_payloads_in_one_file_are_both_told(scenes):
    film = np.concatenate([embed(scenes[0], 1, KEY, fps=FPS), scenes[1], embed(scenes[2], 2, KEY, fps=FPS)])
    reading = read(film, KEY, fps=FPS)
    assert [s.payload for s in reading.stretches] == [1, 2]
    assert [s.start for s in reading.stretches] == pytest.approx([0, 6], abs=0.5)
    assert [s.end for s in reading.stretches] == pytest.approx([3, 9], abs=0.5)
    assert reading.payload in (1, 2)


def test_a_clip_marked_throughout_is_one_stretch(scenes):
    (stretch,) = read(embed(scenes[0], 5, KEY, fps=FPS), KEY, fps=FPS).stretches
    assert (stretch.start, stretch.end) == (0.0, pytest.approx(3, abs=0.2))


def test_an_average_of_differently_marked_copies_gives_no_payload_of_nobodys(scenes):
    payloads, marks, total = [n * 0x9E3779B97F4A7C15 % 2**64 for n in range(1, 6)], [], 0.0
    for payload in payloads:
        embedder = Embedder(256, 192, payload, KEY, like=list(scenes[0][::6]))
        marks.append((payload, embedder.variant))
        total = total + np.stack([embedder.mark(f, i / FPS).astype(np.float32) for i, f in enumerate(scenes[0])])
    mean = np.rint(total / len(payloads)).astype(np.uint8)
    blind = read(mean, KEY, fps=FPS)
    assert blind.detected
    assert blind.payload in (None, *payloads)
    asked = read(mean, KEY, fps=FPS, known=lambda _: [*marks, (7, 7)])
    assert asked.payload in payloads
