"""Hostile text never crashes moderation and never takes more than linear time."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermark.errors import BadSettings
from countermark.moderation import CATEGORIES, Moderator, Opinion, load_policy, to_line
from countermark.moderation.folding import clean
from countermark.moderation.lines import LONGEST, judge, read_batches
from countermark.moderation.mapped import whole
from countermark.moderation.moderator import PIECE, _pieces
from countermark.moderation.terms import parse_allowed, parse_terms


class Silent:
    """A model that finds nothing, so that these tests are about what stands around it."""

    name = "silent"
    languages = frozenset({"en"})

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        return [Opinion({}, {}) for _ in texts]


DICE = random.Random(5)
BOMBS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "blank": lambda: " \t\n" * 1000,
    "one megabyte of one letter": lambda: "a" * 1_000_000,
    "one megabyte of words": lambda: "the cat walks over bridges " * 37_000,
    "a hundred kilobytes of hits": lambda: "nude bomb kill singer election " * 3_300,
    "a hundred kilobytes of letters": lambda: "n u d e " * 12_500,
    "a hundred kilobytes of escapes": lambda: "%6e%75&#110;" * 8_400,
    "a hundred kilobytes of hex": lambda: "6e 75 " * 16_700,
    "a hundred kilobytes of base64": lambda: "bnVkZSB3b21hbiBu" * 6_300,
    "a hundred kilobytes of leet": lambda: "4@$!3" * 20_000,
    "ten thousand marks": lambda: "n" + "\u0301" * 10_000 + "ude",
    "lone surrogates": lambda: "\ud800nu\udfffde\ud800" * 500,
    "control characters": lambda: "".join(map(chr, range(32))) * 300,
    "every plane": lambda: "".join(chr(c) for c in range(0, 0x110000, 97)),
    "brackets": lambda: "((((((((" * 5_000,
    "negations": lambda: "no blood or gore and " * 5_000,
    "signs at random": lambda: "".join(chr(DICE.randint(32, 126)) for _ in range(30_000)),
    "letters at random": lambda: "".join(DICE.choice("abcdefghijklmnopqrstuvwxyz  ") for _ in range(30_000)),
    "no end of a word": lambda: "NudeVideoOf" * 3_000,
    "numbers": lambda: "12 5 8 20 110 117 01101110 " * 1_200,
    "morse": lambda: ".- -... " * 4_000,
    "code to put together": lambda: "".join(f"a{i}='nu'; b{i}='de'; a{i}+b{i} " for i in range(1_000)),
    "names of characters": lambda: "\\N{LATIN SMALL LETTER N}\\N{" * 1_000,
    "masked letters": lambda: "n*" * 15_000,
    "strange alphabets": lambda: "Ꮑ几ηոռ ₦ɄĐɆ " * 3_000,
    "right to left": lambda: "\u202e\u2066edun\u2069" * 3_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_text_is_judged(moderator: Moderator, name: str) -> None:
    decision = moderator.check(BOMBS[name]())
    assert tuple(decision.scores) == CATEGORIES
    assert json.loads(to_line(decision.to_json()).encode())["schema"] == 1
    assert "\n" not in decision.explain()


def test_harm_at_the_end_of_a_long_prompt_is_found(moderator: Moderator) -> None:
    text = "a cat walks over a bridge. " * 4_000 + "a nude video of a famous singer"
    decision = moderator.check(text)
    assert "nonconsensual_intimate" in decision.flagged
    assert text[slice(*decision.reasons[0].span)] == "nude video of a famous singer"


@pytest.mark.parametrize("at", [PIECE - 20, PIECE - 5, 2 * PIECE - 130])
def test_harm_on_the_border_of_two_pieces_is_found(moderator: Moderator, at: int) -> None:
    text = ("x" * 9 + " ") * (at // 10) + "a nude video of a famous singer" + " xxxxxxxxx" * 500
    assert not moderator.check(text).allowed


def test_work_is_linear_in_length() -> None:
    text = "word " * 10_000
    pieces = list(_pieces(text))
    assert len(pieces) <= len(text) / (PIECE - 300) + 1
    assert pieces[-1].ends[-1] == len(text)


def test_marks_and_invisible_characters_shrink_away() -> None:
    assert clean(whole("n" + "\u0301" * 10_000 + "ude")).text == "ńude"
    assert clean(whole("n\u200b\u2060\ufeff\x00ude\ud800")).text == "nude"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_gives_a_decision(moderator: Moderator, text: str) -> None:
    decision = moderator.check(text)
    assert decision.allowed == (decision.action != "refuse")
    assert all(0 <= score <= 1 for score in decision.scores.values())
    assert 0 <= decision.risk <= 1
    assert all(0 <= r.span[0] < r.span[1] <= len(text) for r in decision.reasons)
    to_line(decision.to_json()).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_words_around_do_not_hide_it(moderator: Moderator, before: str, after: str) -> None:
    assert not moderator.check(f"{before} . a nude video of a famous singer . {after}").allowed


LINES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "blank lines": lambda: b" \r\n\n\t\n" * 1000,
    "a byte order mark alone": lambda: b"\xef\xbb\xbf",
    "no last line break": lambda: b"a cat\na dog",
    "line breaks of Windows": lambda: b'{"prompt": "a cat"}\r\na dog\r\n',
    "no UTF-8": lambda: b"\xff\xfea\x00 \x00c\x00\n\x80\xff\n",
    "NUL": lambda: b'a \x00 cat\n{"prompt": "a \\u0000 cat"}\n',
    "lone surrogates": lambda: b'{"prompt": "\\ud800", "\\udfff": ["\\ud800"]}\n',
    "deep objects": lambda: b'{"prompt": "a", "x": ' + b'{"a":' * 500 + b"1" + b"}" * 501 + b"\n",
    "deeper lists": lambda: b'{"prompt": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "lists deep enough to be read": lambda: b'{"prompt": "a", "x": ' + b"[" * 700 + b"]" * 700 + b"}\n",
    "many brackets that are text": lambda: b'{"prompt": "' + b"[{" * 5_000 + b'"}\n',
    "a huge field": lambda: b'{"prompt": "a cat", "x": "' + b"y" * 3_000_000 + b'"}\n',
    "many fields": lambda: json.dumps({"prompt": "a cat", **{f"f{i}": i for i in range(20_000)}}).encode(),
    "a huge number": lambda: b'{"prompt": "a cat", "x": ' + b"9" * 10_000 + b"}\n",
    "numbers that are none": lambda: b'{"prompt": "a", "x": NaN}\n{"prompt": "a", "x": -Infinity}\n',
    "a number too large": lambda: b'{"prompt": "a", "x": 1e999}\n',
    "a field twice": lambda: b'{"prompt": 3, "prompt": "a cat"}\n',
    "our own fields": lambda: b'{"prompt": "a cat", "schema": "x", "allowed": 0, "error": 1, "reasons": {}}\n',
    "a line of three megabytes": lambda: b"a cat walks " * 250_000,
    "a line too long": lambda: b"a" * (LONGEST + 1) + b"\na cat\n",
    "the longest line": lambda: b" " * (LONGEST - 5) + b"a cat\nb\n",
}


@pytest.mark.parametrize("name", LINES)
def test_hostile_lines_are_judged_or_named(name: str) -> None:
    """Every line that is not blank gives one object, which is JSON for any reader."""
    stream = io.BytesIO(LINES[name]())
    moderator = Moderator("standard", model=Silent())
    found = list(judge(read_batches(stream), moderator))
    for entry, decision in found:
        line = to_line(entry)
        assert json.loads(line.encode(), parse_constant=pytest.fail) == entry
        assert line.startswith('{"schema"')
        assert (decision is None) == (isinstance(entry.get("error"), dict))
    lines = [line for line in stream.getvalue().removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert len(found) == len(lines)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("deep objects", "nested"),
        ("deeper lists", "JSON"),
        ("lists deep enough to be read", "nested"),
        ("a huge number", "digits"),
        ("numbers that are none", "NaN"),
        ("a number too large", "too large"),
        ("a line too long", "longer"),
    ],
)
def test_lines_that_cannot_be_are_named(name: str, says: str) -> None:
    entry, decision = next(judge(read_batches(io.BytesIO(LINES[name]())), Moderator("standard", model=Silent())))
    assert decision is None
    assert "line 1 " in entry["error"]["message"]
    assert says in entry["error"]["message"]


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(1, 40))
def test_any_bytes_are_lines(data: bytes, cut: int) -> None:
    """However they come in: in one piece, or a few bytes at a time."""

    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read(cut)

    moderator = Moderator("standard", model=Silent())
    whole_run = [to_line(entry) for entry, _ in judge(read_batches(io.BytesIO(data)), moderator)]
    assert [to_line(entry) for entry, _ in judge(read_batches(Slow(data)), moderator)] == whole_run
    assert all(json.loads(line) for line in whole_run)


@settings(max_examples=60, deadline=None)
@given(phrase=st.text(max_size=30), text=st.text(max_size=60))
def test_any_phrase_is_a_term_or_an_error(phrase: str, text: str) -> None:
    """Signs of patterns and formats mean nothing in own terms, and nothing crashes."""
    try:
        policy = replace(
            load_policy("standard"), terms=parse_terms([f"ip: {phrase}"], "t"), allow=parse_allowed([phrase], "a")
        )
    except BadSettings as error:
        assert "\n" not in str(error)
        return
    decision = Moderator(policy, model=Silent()).check(f"{text} {phrase} {text}")
    assert json.loads(to_line(decision.to_json()))["schema"] == 1


def test_same_text_same_decision(moderator: Moderator, all_benign: list[str]) -> None:
    text = " ".join(random.Random(1).sample(all_benign, 20))
    assert moderator.check(text) == moderator.check(text)
