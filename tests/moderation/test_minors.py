"""Whatever a model finds intimate counts as ``sexual_minors`` next to neutral words for people under age."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from countermark.moderation import Moderator, Opinion
from countermark.moderation.folding import clean
from countermark.moderation.lexicon import load_lexicon
from countermark.moderation.mapped import whole
from countermark.moderation.policy import load_policy
from countermark.moderation.terms import parse_allowed

SPEAK = [
    "the child waves", "a girl who is 12 years old", "das kleine Mädchen winkt", "ein Film über Jugendliche",
    "une fillette de dix ans", "un lycéen", "una niña", "un bebé", "dei bambini", "un ragazzino di 12 anni",
    "duas crianças", "uma menina", "twee kleuters", "een meisje", "dziewczynka macha", "nastolatek",
    "bir çocuk el sallıyor", "kız çocuğu", "девочка машет", "ребёнок", "13-летний", "дівчинка махає", "школярі",
    "الأطفال يلعبون", "طفل", "طفلة عمرها 9 سنوات", "एक बच्चा", "नाबालिग", "12 साल की लड़की", "一个12岁的女孩",
    "小学生在跑步", "7歳の女の子", "高校生", "子供たち", "어린이가 손을 흔든다", "15세 소년", "중학생",
]  # fmt: skip
SILENT = [
    "a grown woman waves", "kid gloves", "a sonata in a minor key", "a woman who is 32 years old", "eine Frau",
    "les mineraux", "una mujer de 35 años", "una donna di 42 anni", "een vrouw", "kobieta", "bir kadın",
    "32-летний мужчина", "امرأة", "एक औरत", "一个22岁的女人", "32歳の女性", "カロリー", "아이스크림", "25세 남자",
]  # fmt: skip


def _speaks(text: str) -> bool:
    moderator = Moderator(model=Intimate())
    return moderator.check(text).scores["sexual_minors"] > 0


class Intimate:
    """A model that finds everything intimate."""

    name = "intimate"
    languages = frozenset({"en"})

    def judge(self, texts: Sequence[str]) -> list[Opinion]:
        return [Opinion({"sexual": 0.7, "any": 0.7}, {"sexual": (0, 1)}) for _ in texts]


@pytest.mark.parametrize("text", SPEAK)
def test_neutral_words_for_people_under_age_are_known(text: str) -> None:
    assert "minor" in load_lexicon().scan(clean(whole(text))).hits
    assert _speaks(text)


@pytest.mark.parametrize("text", SILENT)
def test_words_that_only_look_like_them_are_not(text: str) -> None:
    assert not _speaks(text)


def test_what_is_intimate_is_refused_there_and_an_allowed_phrase_excuses_nothing() -> None:
    moderator = Moderator(model=Intimate())
    alone, near = moderator.check("a woman waves"), moderator.check("a child waves")
    assert (alone.allowed, alone.scores["sexual"]) == (True, 0.7)
    assert (near.flagged, near.allowed) == (("sexual_minors",), False)
    assert (near.reasons[0].rule, near.reasons[0].score) == ("intimate", 0.7)
    standard = load_policy("standard")
    policy = type(standard)("own", 1, standard.categories, allow=parse_allowed(["a child waves"], "here"))
    assert Moderator(policy, model=Intimate()).check("a child waves").flagged == ("sexual_minors",)


def test_nursing_a_baby_is_no_reason() -> None:
    assert not _speaks("a mother breastfeeding her baby in a quiet room")
