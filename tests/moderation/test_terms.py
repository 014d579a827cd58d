"""An operator's own terms and allowed phrases: found in every disguise, and never an excuse for the gravest."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from countermark.errors import BadSettings
from countermark.moderation import FLOORS, Moderator, Opinion, Policy, Term, load_policy
from countermark.moderation.terms import parse_allowed, parse_terms, read_lines

TERM = "captain sparkle"


def own(terms: Sequence[str] = (), allow: Sequence[str] = ()) -> Policy:
    return replace(load_policy("standard"), terms=parse_terms(terms, "t"), allow=parse_allowed(allow, "a"))


def test_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes("\ufeff# ours\r\nip: Captain Sparkle\r\n\r\nhate 0.6:  zorblax* \n".encode())
    assert parse_terms(read_lines(path), "f") == (
        Term("ip", "Captain Sparkle"),
        Term("hate", "zorblax*", 0.6),
    )
    path.write_bytes(b"nude lipstick\n# no\n\nkill: the lights\n")
    assert parse_allowed(read_lines(path), "f") == ("nude lipstick", "kill: the lights")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (b"ip: x\njust words\n", "line 2: a term is written"),
        (b"fun: x\n", "line 1: there is no category fun"),
        (b"\n\nip 2: x\n", "line 3: a score"),
        (b"ip 0: x\n", "line 1: a score"),
        (b"ip .: x\n", "line 1: a score"),
        (b"ip: \n", "line 1: the phrase has no letters"),
        (b"ip: *\n", "line 1: the phrase has no letters"),
        (b"ip: (.*)+\n", "line 1: the phrase has no letters"),
        (b"ip: " + b"x" * 300 + b"\n", "line 1: the phrase is longer"),
        (b"ip: a\nip: \xff\n", "line 2: this is not UTF-8"),
    ],
)
def test_mistakes_name_the_file_and_the_line(tmp_path: Path, lines: bytes, says: str) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes(lines)
    with pytest.raises(BadSettings, match=says) as caught:
        load_policy("standard").with_files(terms=path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mistakes_in_an_allow_file(tmp_path: Path) -> None:
    path = tmp_path / "allow.txt"
    path.write_text("a cat\n*x*\n")
    with pytest.raises(BadSettings, match=r"allow.txt, line 2: an allowed phrase takes no \*"):
        load_policy("standard").with_files(allow=path)
    for missing in (tmp_path / "none.txt", tmp_path, Path("\x00")):
        with pytest.raises(BadSettings, match="cannot be read"):
            load_policy("standard").with_files(allow=missing)


DISGUISES: dict[str, Callable[[str], str]] = {
    "raw": str,
    "capitals": str.upper,
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "leetspeak": lambda text: text.translate(str.maketrans("aei", "431")),
    "zero width": "\u200b".join,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in text),
    "reversed": lambda text: f"this is {text}"[::-1],
    "base64": lambda text: base64.b64encode(f"show me {text}".encode()).decode(),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_term_is_found_in_disguise(disguise: str) -> None:
    text = DISGUISES[disguise](TERM)
    assert Moderator("standard").check(text).allowed
    decision = Moderator(own([f"ip: {TERM}"])).check(text)
    assert decision.flagged == ("ip",)
    (reason,) = [reason for reason in decision.reasons if reason.category == "ip"]
    assert (reason.rule, reason.score, reason.found.split()) == ("custom", 1.0, TERM.split())
    assert text[slice(*reason.span)] == reason.text


def test_a_terms_score_meets_the_policys_threshold() -> None:
    for score, flagged in (("0.3", False), ("1", True)):
        decision = Moderator(own([f"ip {score}: {TERM}"])).check(f"{TERM} rides a bicycle")
        assert (decision.flagged == ("ip",)) is flagged
        assert decision.scores["ip"] == float(score)


def test_stars_stand_for_the_rest_of_a_word() -> None:
    moderator = Moderator(own(["ip: zorbl*", "shock: *blarg", "privacy: *snark*"]))
    for text, category in (("two zorblaxes", "ip"), ("an umblarg", "shock"), ("the osnarkol", "privacy")):
        assert moderator.check(text).flagged == (category,), text
    assert moderator.check("a blargqx and a qxzorbl").allowed


@pytest.mark.parametrize("term", ["a.*b", "(c|d)++", "[e-g]{2}", "h\\d+", "^i$", "{age} j"])
def test_signs_of_patterns_are_signs(term: str) -> None:
    words = "".join(c if c.isalnum() else " " for c in term).split()
    moderator = Moderator(own([f"ip: {term}"]))
    assert moderator.check(" ".join(words)).flagged == ("ip",)
    assert moderator.check("axxb cc dd ee ff gg h22 ii 7 j").allowed


def test_an_own_term_counts_inside_a_harmless_idiom() -> None:
    assert Moderator("standard").check("a bath bomb fizzes in the tub").allowed
    assert not Moderator(own(["dangerous_acts: bath bomb"])).check("a bath bomb fizzes in the tub").allowed


def test_an_allowed_phrase_is_harmless() -> None:
    text = "explicit porn with a nude woman"
    assert not Moderator("standard").check(text).allowed
    assert Moderator(own(allow=["explicit porn", "NUDE woman"])).check(text).allowed
    assert not Moderator(own(allow=["explicit porn"])).check(f"{text}, naked sex").allowed
    assert Moderator(own([f"ip: {TERM}"], ["captain sparkle toothpaste"])).check(f"{TERM} toothpaste").allowed
    assert not Moderator(own([f"ip: {TERM}"], ["captain sparkle toothpaste"])).check(f"{TERM} sings").allowed


class Suspicious:
    """A model that finds every category wherever a letter is left to read."""

    name = "suspicious"
    languages = frozenset({"en"})

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        return [Opinion({**dict.fromkeys(FLOORS, 0.9), "sexual": 0.9, "any": 0.9}, {}) for _ in texts]


class Silent:
    """A model that finds nothing."""

    name = "silent"
    languages = frozenset({"en"})

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        return [Opinion({}, {}) for _ in texts]


def gravest(all_harmful: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(category, prompt) for category, _, prompt in all_harmful if category in FLOORS]


def test_nothing_that_is_allowed_excuses_the_gravest(all_harmful: list[tuple[str, str, str]]) -> None:
    """Not the whole prompt, not each of its words, not common words, nor words that break a disguise up."""
    cases = gravest(all_harmful)
    assert len(cases) >= 8
    words = sorted({word for _, prompt in cases for word in prompt.split() if any(map(str.isalnum, word))})
    common = ["a", "the", "of", "with", "no", "not", "and", "na", "ked", "n", "documentary"]
    for allow in ([prompt for _, prompt in cases], words, [*common, *words]):
        moderator = Moderator(own(allow=allow), model=Silent())
        plain = Moderator("standard", model=Silent())
        for category, prompt in cases:
            for text in (prompt, prompt.upper(), " ".join(prompt), prompt[::-1]):
                assert moderator.check(text).scores[category] == plain.check(text).scores[category], (category, text)
                assert category in moderator.check(text).flagged


def test_the_models_word_on_the_gravest_is_never_excused() -> None:
    moderator = Moderator(own(allow=["a cat", "the bridge"]), model=Suspicious())
    decision = moderator.check("a cat the bridge")
    assert set(decision.flagged) == set(FLOORS)
    assert decision.risk == 0.9
    assert {reason.text for reason in decision.reasons} == {"a cat the bridge"}
    assert Moderator(own(allow=["a cat"]), model=Suspicious()).check("a cat walks").scores["sexual"] == 0.9


def test_an_allowed_phrase_makes_nothing_worse(all_benign: list[str]) -> None:
    """Not even one that covers a negation, an excuse or a part of an idiom."""
    words = sorted({word for text in all_benign for word in text.split() if any(map(str.isalnum, word))})
    plain, loose = Moderator("standard", model=Silent()), Moderator(own(allow=words), model=Silent())
    for text in all_benign:
        before, after = plain.check(text).scores, loose.check(text).scores
        assert all(after[category] <= before[category] for category in before), text
    for allow, text in (
        ("prevention", "a suicide prevention spot, a friend listens to her"),
        ("without", "a forest without blood or corpses, murdered silence"),
        ("kill", "kill a process"),
    ):
        assert Moderator(own(allow=[allow]), model=Silent()).check(text).allowed


def test_own_words_do_not_hide_others() -> None:
    """Known words are not joined: an own term must not keep a disguise of another word from being undone."""
    text = "a video of a famous singer, na ked"
    assert "nonconsensual_intimate" in Moderator("standard", model=Silent()).check(text).flagged
    for policy in (own(["ip: na", "ip: ked"]), own(allow=["na", "ked"])):
        assert "nonconsensual_intimate" in Moderator(policy, model=Silent()).check(text).flagged


def test_a_policy_holds_terms_and_names_files(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "words.txt").write_text("hate: zorblax\n")
    (folder / "fine.txt").write_text("zorblax tea\n")
    path = folder / "own.toml"
    path.write_text(
        'name = "own"\nversion = 4\nterms = ["ip: Captain Sparkle"]\nallow = ["sparkle wine"]\n'
        'terms_file = "words.txt"\nallow_file = "fine.txt"\n[labels]\nLABEL_1 = "hate"\nbad = "any"\nfine = "none"\n'
    )
    policy = load_policy(path)
    assert policy.label == "own@4"
    assert policy.terms == (Term("ip", "Captain Sparkle"), Term("hate", "zorblax"))
    assert policy.allow == ("sparkle wine", "zorblax tea")
    assert policy.labels == {"LABEL_1": "hate", "bad": "any", "fine": "none"}
    moderator = Moderator(path)
    assert moderator.check("a ZORBLAX walks").flagged == ("hate",)
    assert moderator.check("a cup of zorblax tea").allowed
    more = policy.with_files(allow=folder / "fine.txt")
    assert (more.label, more.terms, len(more.allow)) == ("own+custom@4", policy.terms, 3)
    assert policy.with_files() is policy


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("terms = 3", "terms must be a list"),
        ("terms = [3]", "terms must be a list"),
        ("allow = 'x'", "allow must be a list"),
        ("terms = ['ip: a', 'nothing']", "terms, line 2"),
        ("allow = ['!']", "allow, line 1"),
        ("terms_file = 3", "must name a file"),
        ("allow_file = ''", "must name a file"),
        ("terms_file = 'none.txt'", "cannot be read"),
        ("labels = 3", "labels must be a table"),
        ("[labels]\nx = 'fun'", "labels: x"),
        ("[labels]\nx = 3", "labels: x"),
    ],
)
def test_mistakes_in_a_policys_own_words(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"name = 'x'\nversion = 1\n{line}\n")
    with pytest.raises(BadSettings, match=says) as caught:
        load_policy(path)
    assert "\n" not in str(caught.value)
