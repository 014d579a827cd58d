"""Weights, model seam, languages, threads, and what importing the room costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import countermark.moderation as room
from countermark.errors import BadSettings, WeightsMissing
from countermark.moderation import Moderator, Opinion
from countermark.moderation.features import BUCKETS, features
from countermark.moderation.language import identify
from countermark.moderation.lexicon import Lexicon
from countermark.moderation.linear import SHA256, load_linear, read_linear
from countermark.moderation.mapped import whole
from countermark.moderation.rules import Rule, RuleBook

HEAVY = ("torch", "sklearn", "scipy", "transformers", "pandas", "cv2")


def test_public_names() -> None:
    assert room.__all__ == sorted(room.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(room, name) for name in room.__all__)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from countermark.moderation import moderate; light = 'numpy' in sys.modules;"
        "moderate('а nude vidео, Brücke, ein Wort'); moderate('zwei blaue Würfel');"
        f"print(light, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"


def test_weights_are_the_expected_file(tmp_path: Path) -> None:
    entry = files("countermark.moderation") / "weights" / "linear.safetensors"
    raw = entry.read_bytes()
    assert len(raw) < 8_000_000
    assert read_linear(entry, SHA256).heads[0] == "any"
    (tmp_path / "w").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(WeightsMissing, match="sha256"):
        read_linear(tmp_path / "w", SHA256)
    with pytest.raises(WeightsMissing, match="cannot be read"):
        read_linear(tmp_path / "absent", SHA256)


def test_model_card_stands_beside_the_weights() -> None:
    card = (files("countermark.moderation") / "weights" / "README.md").read_text("utf-8")
    assert SHA256 in card


def test_model_tells_harm_from_benign() -> None:
    model = load_linear()
    texts = ["explicit nude woman having sex, pornography, naked breasts", "a train crosses a bridge, drone shot", ""]
    harm, benign, nothing = (opinion.probabilities for opinion in model.judge(texts))
    assert harm["any"] > 4 * benign["any"]
    assert harm["sexual"] > 4 * benign["sexual"]
    assert nothing == dict.fromkeys(model.heads, 0.0)
    assert model.judge([]) == []


def test_features_are_fixed() -> None:
    """Trained weights stand and fall with these numbers: they may change only together with the weights."""
    found = features("a red ball")
    assert found.buckets.tolist()[:4] == FIRST_BUCKETS
    assert len(found.buckets) == len(set(found.buckets.tolist())) == len(found.values)
    assert found.buckets.max() < BUCKETS
    assert float(np.sum(found.values**2)) == pytest.approx(2.0, rel=0.05)
    assert features("ball red a").buckets.tolist() != found.buckets.tolist()
    assert features("").buckets.size == 0


FIRST_BUCKETS = [37200, 45168, 49097, 60881]


class Fixed:
    """A model that always says the same."""

    name = "fixed"
    languages = frozenset({"en"})

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        return [Opinion({"hate": 0.9, "any": 0.95}, {"hate": (0, 3)}) for _ in texts]


def test_another_model_can_be_plugged_in() -> None:
    moderator = Moderator("standard", model=Fixed())
    decision = moderator.check("the cat is walking over the bridge")
    assert decision.flagged == ("hate",)
    assert (decision.reasons[0].rule, decision.reasons[0].text, decision.risk) == ("fixed", "the", 0.95)
    assert moderator.check("").risk == moderator.check("\u200b \x00").risk == 0
    assert moderator.check("a").reasons[0].text == "a"
    german = moderator.check("die Katze läuft über die Brücke")
    assert german.allowed
    assert german.scores["hate"] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a red ball bounces in a studio, animated", "en"),
        ("eine Katze läuft über die Brücke", "de"),
        ("un chat marche sur le pont avec un chien", "fr"),
        ("un gato camina por el puente con su perro", "es"),
        ("un gatto cammina sul ponte con il cane", "it"),
        ("een kat loopt over de brug met zijn hond", "nl"),
        ("кошка идёт по мосту", "ru"),
        ("кіт іде по мосту", "uk"),
        ("猫在桥上走路", "zh"),
        ("猫が橋を渡る", "ja"),
        ("고양이가 다리를 건넌다", "ko"),
        ("قطة تمشي على الجسر", "ar"),
        ("बिल्ली पुल पर चल रही है", "hi"),
        ("", "und"),
        ("123 !?", "und"),
    ],
)
def test_language(text: str, language: str) -> None:
    code, confidence = identify(text)
    assert code == language
    assert 0 <= confidence <= 1
    assert (confidence == 0) == (code == "und")


def test_one_moderator_serves_many_threads(moderator: Moderator, all_benign: list[str]) -> None:
    texts = [*all_benign[:40], "a nude video of a famous singer", "n.u.d.e singer", "edun regnis a"] * 3
    alone = [moderator.check(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(Moderator("standard").check, texts)) == alone


def tiny(rules: list[Rule]) -> RuleBook:
    groups = {"idiom": ["red cat"], "negation": ["no"], "connector": ["or"], "a": ["cat"], "b": ["dog*"], "c": ["sun"]}
    return RuleBook(rules, Lexicon(groups, frozenset()), ["a"])


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("cat and dogs", True),
        ("dog cat", True),
        ("cat one two three four dog", False),
        ("red cat dog", False),
        ("no cat dog", False),
        ("no dog or cat dog", True),
        ("cat dog sun", False),
        ("cat dog x x x x x x sun", True),
    ],
)
def test_rule_mechanics(text: str, fires: bool) -> None:
    rule = Rule("r", "shock", 0.5, (("a",), ("b",)), window=4, unless=("c",), unless_window=3)
    book = tiny([rule])
    assert bool(book.check(book.lexicon.scan(whole(text)), "raw")) is fires


def test_ordered_rule() -> None:
    book = tiny([Rule("r", "shock", 0.5, (("a",), ("b",)), ordered=True)])
    assert [bool(book.check(book.lexicon.scan(whole(t)), "raw")) for t in ("cat dog", "dog cat")] == [True, False]


@pytest.mark.parametrize(
    "rule", [Rule("r", "fun", 0.5, (("a",),)), Rule("r", "shock", 0.5, (("z",),)), Rule("r", "shock", 1.5, (("a",),))]
)
def test_rules_that_cannot_be(rule: Rule) -> None:
    with pytest.raises(BadSettings, match="rule r"):
        tiny([rule])
