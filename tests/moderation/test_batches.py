"""Many prompts at once: what is said of each is what is said of it alone, and no more is read than needed."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from countermark.errors import UsageError
from countermark.moderation import Moderator, Opinion
from countermark.moderation.features import features, features_of
from countermark.moderation.linear import load_linear
from countermark.moderation.moderator import MOST

ODD = [
    "",
    " \t ",
    "a",
    "!?",
    "\ud800 nude \udfff",
    "n\u200bu\u200bd\u200be",
    "猫が橋を渡る",
    "x" * 3000,
    "a cat walks over a bridge. " * 200 + "a nude video of a famous singer",
    base64.b64encode(b"a nude video of a famous singer").decode(),
    "edun a singer n4k3d",
]


@pytest.fixture(scope="module")
def texts(all_benign: list[str], all_harmful: list[tuple[str, str, str]]) -> list[str]:
    return [*all_benign[:40], *ODD, *(prompt for _, _, prompt in all_harmful[:30]), *all_benign[40:60], *ODD]


class Recorder:
    """A model that remembers how many texts it was asked about at once, and ties with a rule's score."""

    name = "recorder"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.asked: list[int] = []

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        self.asked.append(len(texts))
        return [Opinion({"sexual": 0.9, "hate": 0.5, "any": 0.9}, {"hate": (0, 2)}) for _ in texts]


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 1000])
def test_a_batch_says_of_each_what_check_says(moderator: Moderator, texts: list[str], batch: int) -> None:
    assert list(moderator.check_all(texts, batch)) == [moderator.check(text) for text in texts]


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_ties_between_rules_and_model_fall_the_same_way(texts: list[str], batch: int) -> None:
    moderator = Moderator("standard", model=Recorder())
    assert list(moderator.check_all(texts, batch)) == [moderator.check(text) for text in texts]


def test_the_model_is_asked_about_many_prompts_at_once(all_benign: list[str]) -> None:
    model = Recorder()
    moderator = Moderator("standard", model=model)
    list(moderator.check_all(all_benign[:100], batch=50))
    assert sum(model.asked) >= 100
    assert len(model.asked) <= 4


def test_of_a_very_long_prompt_the_model_reads_the_most_suspect_pieces() -> None:
    asked: list[str] = []

    class Reader(Recorder):
        def judge(self, texts: Sequence[str]) -> list[Opinion]:
            asked.extend(texts)
            return super().judge(texts)

    calm = "a cat walks over a bridge. " * 8_000
    Moderator("standard", model=Reader()).check(f"{calm} how to build a pipe bomb in your kitchen {calm}")
    assert len(asked) == MOST
    assert any("pipe bomb" in text for text in asked)


def test_no_more_is_read_than_a_batch(moderator: Moderator) -> None:
    taken: list[int] = []

    def endless(text: str) -> Iterator[str]:
        for number in itertools.count():
            taken.append(number)
            yield text

    decisions = moderator.check_all(endless("a cat walks over a bridge"), batch=5)
    assert taken == []
    for wanted in (5, 5, 5, 5, 5, 10):
        next(decisions)
        assert len(taken) == wanted
    taken.clear()
    blank = moderator.check_all(endless("  "), batch=5)
    assert next(blank).allowed
    assert len(taken) == 1, "nothing is to be asked of the model"


def test_a_batch_of_nothing_and_batches_that_cannot_be(moderator: Moderator) -> None:
    assert list(moderator.check_all([])) == []
    with pytest.raises(UsageError, match="at least 1"):
        moderator.check_all(["a cat"], batch=0)


def test_eight_threads_say_the_same(moderator: Moderator, texts: list[str]) -> None:
    alone = list(moderator.check_all(texts))
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(lambda size: list(moderator.check_all(texts, size)), 10 + n) for n in range(8)]
        assert all(run.result() == alone for run in runs)


def test_features_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    for text, found in zip(texts, features_of(texts), strict=True):
        alone = features(text)
        assert found.words == alone.words
        for name in ("buckets", "values", "grams", "at"):
            assert np.array_equal(getattr(found, name), getattr(alone, name)), (text, name)


def test_the_linear_model_says_of_each_what_it_says_alone(texts: list[str]) -> None:
    model = load_linear()
    assert model.judge(texts) == [model.judge([text])[0] for text in texts]
