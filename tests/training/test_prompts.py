"""The prompts that moderation is trained on: fields, balance, length, and no row twice."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from countermark.moderation import CATEGORIES as MODERATED
from countermark.training.prompt_writer import CATEGORIES, FOLDER, LANGUAGES, Row, near_twins, read_rows, tokens, write

KINDS = re.compile(r"[a-z]+(_[a-z]+)*")
# Words for minors, by language; they must not meet anything sexual or intimate.
MINORS = {
    "en": r"\b(girls?|boys?|teen\w*|child\w*|kids?|bab(y|ies)|school\w*|students?|class(room|mate)s?|daughters?|sons?"
    r"|minors?|underage|pupils?|infants?)\b",
    "de": r"\b(mädchen|jungen?|kind(er|ern)?|schul(e|en|k)|schüler|tochter|sohn|jugendlich)",
    "fr": r"\b(fillettes?|garçon|enfant|élève|collégien|lycée|adolesc|bébé)",
    "es": r"\b(niñ|hij[oa]s?\b|escuela|colegio|alumn|adolesc|bebé)",
    "it": r"\b(bambin|ragazz|scuola|studentess|adolesc|neonat)",
    "pt": r"\b(menin[oa]|criança|garot[oa]|escola|adolesc|bebê)",
    "nl": r"\b(meisje|jongen|kind(eren)?\b|school|leerling)",
    "pl": r"\b(dzieck|dzieci|dziewcz|chłop(iec|ak|c)|uczni|uczenn|szko[łl]|nastol)",
    "tr": r"\b(çocu[kğ]|kız(lar|ı)?\b|oğlan|öğrenci|okul|bebek)",
    "ru": r"\b(ребён|дети|детей|девоч|девуш|мальчик|школ|подрост)",
    "uk": r"\b(дитин|діти|дітей|дівч|хлопч|учень|учениц|школ|підліт)",
    "ar": "طفل|أطفال|طالب|تلميذ|فتاة|مدرسة|رضيع",
    "hi": "बच्च|लड़क|छात्र|स्कूल|शिशु",
    "zh": "孩|少女|少年|学生|女生|男生|幼|学校",
    "ja": "子ども|子供|少女|少年|生徒|学生|学校|幼",
    "ko": "아이|소녀|소년|학생|학교|어린",
}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows()


@pytest.fixture(scope="module")
def by_lang(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.lang].append(row)
    return found


def longer(harmful: list[int], benign: list[int]) -> float:
    """How likely a harmful row is longer than a benign one; one half when lengths tell nothing."""
    ordered = sorted(benign)
    wins = sum(bisect_left(ordered, n) + bisect_right(ordered, n) for n in harmful)
    return wins / 2 / len(harmful) / len(benign)


def test_fields(rows: list[Row]) -> None:
    for row in rows:
        assert row.text == row.text.strip()
        assert row.text
        assert "\n" not in row.text
        assert row.lang in LANGUAGES
        assert row.source in {"written", "template"}
        assert KINDS.fullmatch(row.kind)
        assert len(set(row.categories)) == len(row.categories)


def test_harmful_rows_have_known_categories_and_benign_ones_have_none(rows: list[Row]) -> None:
    for row in rows:
        assert row.label in {"benign", "harmful"}
        assert bool(row.categories) == (row.label == "harmful"), row
        assert set(row.categories) <= set(CATEGORIES)


def test_categories_are_those_of_moderation_without_minors(rows: list[Row]) -> None:
    assert set(CATEGORIES) == set(MODERATED) - {"sexual_minors"}
    assert {category for row in rows for category in row.categories} == set(CATEGORIES)


def test_nothing_sexual_or_intimate_speaks_of_minors(rows: list[Row]) -> None:
    intimate = {"sexual", "nonconsensual_intimate"}
    pairs = {row.pair for row in rows if intimate & set(row.categories)} - {None}
    concerned = [
        row for row in rows if intimate & set(row.categories) or (row.pair in pairs and row.source == "written")
    ]
    assert len(concerned) > 1000
    assert [row.text for row in concerned if re.search(MINORS[row.lang], row.text, re.IGNORECASE)] == []


def test_enough_rows_and_few_from_templates(rows: list[Row]) -> None:
    assert len(rows) >= 19_000
    assert sum(row.source == "template" for row in rows) <= 0.2 * len(rows)


def test_no_row_twice(rows: list[Row]) -> None:
    seen = Counter((row.lang, " ".join(row.text.casefold().split())) for row in rows)
    assert [text for text, times in seen.items() if times > 1] == []


def test_no_row_nearly_twice(rows: list[Row]) -> None:
    assert [(a.text, b.text) for a, b in near_twins(rows)] == []


def test_near_twins_finds_what_a_plain_search_finds() -> None:
    texts = ["a dog runs over a long bridge at night in heavy rain", "a dog runs over a long bridge at night in rain",
             "a dog runs", "a cat sleeps in the warm sun on a wall", "A dog, runs!"]  # fmt: skip
    rows = [Row(text, "benign", (), "en", None, "video", "written") for text in texts]
    assert [(a.text, b.text) for a, b in near_twins(rows)] == [(texts[0], texts[1]), (texts[2], texts[4])]


def test_rows_of_a_pair_differ_in_label(rows: list[Row]) -> None:
    pairs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.pair is not None:
            pairs[row.pair].append(row)
    for name, linked in pairs.items():
        assert sorted(row.label for row in linked) == ["benign", "harmful"], name
        assert len({row.lang for row in linked}) == 1, name


@pytest.mark.parametrize(("least", "langs"), [(60, ("en",)), (15, ("de", "fr", "es")), (5, LANGUAGES[4:])])
def test_every_category_has_written_pairs(rows: list[Row], least: int, langs: tuple[str, ...]) -> None:
    pairs = Counter(
        (row.lang, category)
        for row in rows if row.pair is not None and row.source == "written" for category in row.categories
    )  # fmt: skip
    assert {(lang, category): pairs[lang, category] for lang in langs for category in CATEGORIES
            if pairs[lang, category] < least} == {}  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_labels_and_lengths_are_balanced(by_lang: dict[str, list[Row]], rows: list[Row], lang: str) -> None:
    own = by_lang[lang]
    lengths = {label: [len(row.text) for row in own if row.label == label] for label in ("benign", "harmful")}
    assert len(own) >= 0.03 * len(rows)
    assert 0.4 <= len(lengths["harmful"]) / len(own) <= 0.6
    assert 0.4 <= longer(lengths["harmful"], lengths["benign"]) <= 0.62


def test_tests_of_moderation_are_not_in_the_data(rows: list[Row]) -> None:
    folder = Path(__file__).parents[1] / "moderation"
    lines = (folder / "benign.txt").read_text("utf-8").splitlines()
    lines += [line.split("\t")[-1] for line in (folder / "harmful.tsv").read_text("utf-8").splitlines()]
    judged = {tokens(line) for line in lines}
    assert [row.text for row in rows if tokens(row.text) in judged] == []


def test_template_rows_are_what_the_word_tables_make(tmp_path: Path) -> None:
    for path in FOLDER.glob("words_*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert write(tmp_path) > 0
    assert (tmp_path / "templates.jsonl").read_bytes() == (FOLDER / "templates.jsonl").read_bytes()
