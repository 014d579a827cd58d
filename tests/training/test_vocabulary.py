"""The list of everyday words grows by the project's rows."""

from __future__ import annotations

import json
from pathlib import Path

from countermark.training.vocabulary import main


def row(text: str, label: str, lang: str = "en") -> str:
    return json.dumps(
        {
            "text": text,
            "label": label,
            "categories": [],
            "lang": lang,
            "pair": None,
            "kind": "short",
            "source": "written",
        }
    )


def test_words_of_rows_are_added(tmp_path: Path) -> None:
    rows = [
        row("A lantern swings, a lantern glows", "benign"),
        row("eine Laterne, a lantern", "benign", "de"),
        row("one odd disguise: ch4in chainxx", "harmful"),
        row("one chain more", "harmful"),
        row("chain and chain", "harmful"),
        row("кошка", "benign", "ru"),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "words.txt").write_text("old words stay\n", "utf-8")
    assert main(["--rows", str(tmp_path), "--words", str(tmp_path / "words.txt")]) == 0
    words = (tmp_path / "words.txt").read_text("utf-8").split()
    assert words[:3] == ["chain", "lantern", "one"]  # the most frequent first
    assert set(words) == {"chain", "lantern", "one", "swings", "glows", "eine", "laterne", "old", "words", "stay"}
    main(["--rows", str(tmp_path), "--words", str(tmp_path / "words.txt")])
    assert (tmp_path / "words.txt").read_text("utf-8").split() == words
