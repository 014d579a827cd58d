"""Marks of other generators: found where they are, and nowhere else."""

from collections.abc import Iterator
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, kstest

from countermark.detect import known_marks
from countermark.detect.known_marks import MESSAGES, Message, find_known_marks
from countermark.generate.render import render
from countermark.generate.world import sample_scene

Picture = npt.NDArray[np.uint8]
SDXL = [int(b) for b in f"{0b101100111110110010010000011110111011000110011110:048b}"]
SD = b"StableDiffusionV1"


def _picture(seed: int, fine: float = 20.0, height: int = 512, width: int = 512) -> Picture:
    """A photograph's likeness: soft light over the picture, and texture of ``fine`` steps."""
    rng = np.random.default_rng(seed)

    def noise(rows: int, columns: int) -> npt.NDArray[np.float32]:
        grid = rng.random((rows, columns, 3)).astype(np.float32)
        return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)

    light = noise(4 + seed % 6, 4 + seed % 6) * 170 + 42
    return np.clip(light + (noise(height // 5, width // 5) - 0.5) * fine, 0, 255).round().astype(np.uint8)


def _library() -> ModuleType:
    library: ModuleType = pytest.importorskip("imwatermark", reason="the interop extra is not installed")
    return library


def _marked(picture: Picture, message: bytes | list[int]) -> Picture:
    encoder = _library().WatermarkEncoder()
    encoder.set_watermark("bytes" if isinstance(message, bytes) else "bits", message)
    return np.ascontiguousarray(encoder.encode(np.ascontiguousarray(picture[..., ::-1]), "dwtDct")[..., ::-1])


def _jpeg(picture: Picture, quality: int) -> Picture:
    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def _world() -> Iterator[Picture]:
    rng = np.random.default_rng(8)
    for i in range(6):
        yield render(sample_scene(rng), 256 + 128 * (i % 3), at=12)[0]


def _unmarked() -> dict[str, Picture]:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:512, :512]
    made: dict[str, npt.NDArray[np.float64 | np.int64 | np.uint8]] = {
        "black": np.zeros((512, 512, 3)),
        "white": np.full((512, 512, 3), 255),
        "grey": np.full((512, 512, 3), 128),
        "blue": np.zeros((512, 512, 3)) + np.array([0, 0, 255]),
        "noise": rng.integers(0, 256, (512, 512, 3)),
        "grey noise": np.repeat(rng.integers(0, 256, (512, 512, 1)), 3, 2),
        "weak noise": 128 + rng.integers(-2, 3, (512, 512, 3)),
        "ramp across": np.stack([x / 2, 255 - x / 2, x / 2], -1),
        "ramp down": np.stack([y / 2, y / 2, 255 - y / 2], -1),
        "rings": np.stack([127 + 120 * np.sin(np.hypot(x - 256, y - 256) / k) for k in (3, 7, 13)], -1),
        "half black": np.where(x[..., None] < 256, 0, [40, 90, 200]) * np.ones((512, 512, 3)),
    }
    for side in (1, 4, 8, 16, 64):
        made[f"checkers of {side}"] = np.repeat(((x // side + y // side) % 2 * 255)[..., None], 3, 2)
        made[f"blue checkers of {side}"] = ((x // side + y // side) % 2)[..., None] * [30, 60, 220]
        made[f"blue stripes of {side}"] = (x // side % 2)[..., None] * [30, 60, 220]
    for period in (3, 8, 17, 48):  # blocks, which are 8 pixels wide
        made[f"a period of {period} blocks"] = np.repeat((x // 8 % period * 255 // period)[..., None], 3, 2) // [
            3,
            2,
            1,
        ]
    for seed in range(4):
        made[f"picture {seed}"] = _picture(seed, 10 + 20 * seed, 288 + 64 * seed, 256 + 96 * seed)
    for i, frame in enumerate(_world()):
        made[f"world {i}"] = frame
    return {name: np.ascontiguousarray(np.clip(p, 0, 255).astype(np.uint8)) for name, p in made.items()}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("name", "message"), [("Stable Diffusion XL", SDXL), ("Stable Diffusion", SD)])
def test_marks_are_found_in_smooth_and_textured_pictures(seed: int, name: str, message: bytes | list[int]):
    for fine in (6.0, 20.0, 60.0):
        found = find_known_marks([_marked(_picture(seed, fine), message)])
        assert found is not None
        assert (found.found, found.name) == (True, name), (fine, found)
        assert found.agreed >= 0.85 * found.bits


@pytest.mark.parametrize(("height", "width"), [(256, 256), (480, 854), (768, 1344), (515, 683)])
def test_marks_are_found_at_other_sizes(height: int, width: int):
    picture = _picture(1, 40.0, height, width)
    for message in (SDXL, SD):
        found = find_known_marks([_marked(picture, message)])
        assert found is not None
        assert found.found, found


def test_a_mark_outlives_a_jpeg_of_high_quality():
    """As far as dwtDct itself goes: on textured pictures, at quality 95."""
    for seed in range(3):
        found = find_known_marks([_jpeg(_marked(_picture(seed, 60.0), SDXL), 95)])
        assert found is not None
        assert found.found, (seed, found)


def test_what_the_library_decodes_is_what_is_tested():
    """Votes are read block by block; averaged, they are the bits of the library's own decoder."""
    picture = _marked(_picture(2, 60.0), SDXL)
    votes = known_marks._votes(picture)
    share = np.bincount(np.arange(len(votes)) % 48, votes, 48) / np.bincount(np.arange(len(votes)) % 48)
    theirs = _library().WatermarkDecoder("bits", 48).decode(np.ascontiguousarray(picture[..., ::-1]), "dwtDct")
    clear = np.abs(share - 0.5) > 0.05
    assert clear.sum() > 24
    assert ((share > 0.5) == np.asarray(theirs))[clear].all()


def test_unmarked_pictures_carry_nothing():
    pictures = _unmarked()
    assert len(pictures) >= 36
    for name, picture in pictures.items():
        found = find_known_marks([picture])
        assert found is not None
        assert not found.found, (name, found)
        assert found.p_value > 1e-6, (name, found)


def test_other_messages_are_not_taken_for_known_ones():
    rng = np.random.default_rng(5)
    others: list[bytes | list[int]] = [rng.integers(0, 2, n).tolist() for n in (32, 48, 48, 64, 136, 136)]
    others += [
        b"MidjourneyImageV1",
        b"SomeOtherModel-v1",
        b"stabilityVideoAI1",
        b"SDV2",
        b"A" * 17,
        b"\xff" * 17,
        b"\0" * 6,
    ]
    others += [SD[shift:] + SD[:shift] for shift in (1, 8)]
    others.append([1 - bit for bit in SDXL])
    for i, message in enumerate(others):
        found = find_known_marks([_marked(_picture(i, 60.0), message)])
        assert found is not None
        assert not found.found, (message, found)


def test_pictures_that_look_like_letters_are_not_text():
    """Columns that repeat with the bits of a letter: every bit that all letters share would agree with them."""
    shared = np.unpackbits(np.frombuffer(SD, np.uint8)).reshape(-1, 8).mean(0) > 0.5
    columns = np.repeat(np.tile(shared, 8), 8)
    for low, high in ((20, 60), (0, 255), (90, 110)):
        blue = np.where(columns, high, low).astype(np.uint8)
        noise = np.random.default_rng(high).integers(0, 12, (512, 512, 3))
        picture = np.zeros((512, 512, 3), np.uint8)
        picture[..., 2] = blue[None]
        found = find_known_marks([np.clip(picture + noise, 0, 255).astype(np.uint8)])
        assert found is not None
        assert not found.found, found
    votes = np.tile(shared, 512).astype(float)  # at its worst: the blocks vote exactly so
    assert (
        known_marks._test(known_marks._leans(votes, MESSAGES["Stable Diffusion"]), MESSAGES["Stable Diffusion"])[1] == 1
    )


def test_the_tail_is_the_binomial_one_for_equal_weights():
    for count in (1, 8, 48, 136):
        for agreed in range(count + 1):
            got = known_marks._tail(agreed, np.ones(count, np.int64))
            assert got == pytest.approx(float(binom.sf(agreed - 1, count, 0.5)), rel=1e-9), (agreed, count)


def test_the_tail_is_exact_for_unequal_weights():
    """Against all 2^10 draws."""
    weights = np.array([1, 2, 2, 3, 5, 0, 7, 11, 40, 100])
    draws = (np.arange(1024)[:, None] >> np.arange(10) & 1) @ weights
    for agreed in (0, 1, 40, 99, 100, 150, 171):
        assert known_marks._tail(agreed, weights) == pytest.approx(float((draws >= agreed).mean()), abs=1e-12)


@pytest.mark.parametrize("kind", ["noise", "ramp down", "picture 1", "world 0", "blue checkers of 8"])
def test_random_messages_agree_as_often_as_the_p_value_says(kind: str):
    """The claim behind the bound, for fixed pictures and messages drawn at random: P(p <= u) <= u."""
    votes = known_marks._votes(_unmarked()[kind])
    rng = np.random.default_rng(11)
    p_values = []
    for _ in range(400):
        message = Message(tuple(rng.integers(0, 2, 48).tolist()))
        p_values.append(known_marks._test(known_marks._leans(votes, message), message)[1])
    assert kstest(p_values, "uniform", alternative="greater").pvalue > 1e-4, "small p-values come too often"
    assert min(p_values) > 1e-6


def test_more_frames_and_messages_are_paid_for():
    picture = _marked(_picture(4, 60.0), SDXL)
    one, two = find_known_marks([picture]), find_known_marks([_picture(5), picture])
    assert one is not None
    assert two is not None
    assert two.p_value == pytest.approx(2 * one.p_value)
    assert one.p_value == pytest.approx(len(MESSAGES) * 2.0**-48, rel=0.5)


def test_pictures_too_small_or_too_large_are_left_out():
    assert find_known_marks([]) is None
    assert find_known_marks([_picture(0, 20.0, 250, 512)]) is None
    assert find_known_marks([np.zeros((2100, 2100, 3), np.uint8)]) is None
