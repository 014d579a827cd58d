"""Which words are familiar, where words end in a run of letters, and what a damaged word was."""

from __future__ import annotations

from importlib.resources import files

import pytest

from countermark.moderation.lexicon import Lexicon, load_lexicon
from countermark.moderation.mapped import whole
from countermark.moderation.source import Source
from countermark.moderation.vocabulary import Vocabulary, collapsed, outline, skeleton, sound, steps

KEYS = [" naked ", " nude ", " porn", " hang yourself ", " meth "]
EVERYDAY = ["women", "with", "lantern", "things", "thing"]


@pytest.fixture(scope="module")
def small() -> Vocabulary:
    terms = {"naked", "nude", "meth"}
    return Vocabulary(lambda word: word in terms or word.startswith("porn"), {"the", "and", "in"}, EVERYDAY, KEYS)


@pytest.fixture(scope="module")
def full() -> Vocabulary:
    return load_lexicon().vocabulary


def test_keys_of_words() -> None:
    assert (skeleton("naked"), skeleton("eine"), collapsed("kkiillll")) == ("nkd", "en", "kil")
    assert outline("nkaed") == outline("naked") != outline("nakde")
    assert steps("nude") == steps("ahqr") != steps("edun")
    assert sound("нуде") == sound("nude")
    assert sound("вохнст") == sound("wohnst")


def test_words_are_familiar(small: Vocabulary) -> None:
    assert all(map(small.familiar, ["the", "lantern", "lanterns", "naked", "pornoszene", "hang"]))
    assert not any(map(small.familiar, ["xqzt", "nkaed", "lantrn", "x" * 50]))
    assert small.listed("naked")
    assert small.sure("pornoszene")
    assert not small.listed("pornoszene")


def test_plainness(small: Vocabulary) -> None:
    assert small.plainness(["the", "lantern", "xqzt"]) == pytest.approx(10 / 14)
    assert small.plainness(["n", "u", "d", "e"]) == small.plainness([]) == 0
    assert small.plainness(["кошка", "猫咪猫"]) == 1  # other scripts are not gibberish


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("thelanternandthethings", ["the", "lantern", "and", "the", "things"]),
        ("nakedwomen", ["naked", "women"]),
        ("hangyourself", ["hang", "yourself"]),
        ("xxnakedxx", ["naked"]),
        ("xx", []),
        ("", []),
    ],
)
def test_segments(small: Vocabulary, letters: str, words: list[str]) -> None:
    assert [letters[a:b] for a, b in small.segments(letters)] == words


def test_terms_by_what_is_left_of_them(small: Vocabulary) -> None:
    assert small.scrambled[outline("nkaed")] == "naked"
    assert small.jumbled[outline("womne"[:3] + "en")] == "women"
    assert small.skeletons["nd"] == "nude"
    assert small.bones["wth"] == "with"
    assert small.collapsed[collapsed("nnuuddee")] == "nude"
    assert small.sounds[sound("нуде")] == "nude"
    assert small.shapes[steps("ahqr")] == ["nude"]
    assert small.masked("n*de") == ("nude",)
    assert small.masked("p*rnoszene") == ("pornoszene",)
    assert small.masked("x*yz") == small.masked("****") == ()


def test_phrases_are_pairs_that_are_not_both_common(small: Vocabulary) -> None:
    assert small.phrases == {("hang", "yourself")}


def test_runs_of_strange_words(small: Vocabulary) -> None:
    source = Source(whole("the xqzt in Bzrk women lantern Kvnt"), small)
    assert [source.words[i][2] for i in source.strange] == ["xqzt", "bzrk", "kvnt"]
    assert source.runs == [range(1, 4), range(6, 7)]
    assert Source(whole("Bzrk the women"), small).runs == [range(1)]
    assert Source(whole(""), small).runs == []


def test_codes_are_runs_of_pieces(small: Vocabulary) -> None:
    source = Source(whole("the lantern bnVk ZSB3 b21h bg== with things"), small)
    assert [[piece[0] for piece in run] for run in source.codes] == [["bnVk", "ZSB3", "b21h", "bg=="]]
    assert source.coded
    assert not Source(whole("the lantern with things"), small).coded


def test_list_of_words(full: Vocabulary) -> None:
    words = (files("countermark.moderation") / "data" / "words.txt").read_text("utf-8").split()
    assert len(words) == len(set(words)) > 15_000
    assert all(word.isalpha() and word == word.casefold() and 2 < len(word) < 25 for word in words)
    assert full.cost("the") < full.cost("lantern") < full.cost("lanterns") < full.cost("xqzt")


def test_emoji_that_is_a_term_is_a_word() -> None:
    lexicon = Lexicon({"sign": ["🔪"], "bath": ["bath 💣"]}, frozenset())
    assert set(lexicon.scan(whole("a 🔪🔪, a bath 💣 and a 🎈")).hits) == {"sign", "bath"}
    assert len(lexicon.scan(whole("a 🎈 and a cat")).places) == 4
