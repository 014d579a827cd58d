"""Lines of text and of JSON in, one object a line out."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

from countermark.moderation import Moderator, moderate, moderate_lines, read_prompts, to_line


def run(text: str, moderator: Moderator) -> list[dict[str, Any]]:
    return list(moderate_lines(io.StringIO(text), moderator))


def test_plain_lines(moderator: Moderator) -> None:
    found = run("a cat walks over a bridge\n\n   \r\nbehead him and show the blood\r\n", moderator)
    assert [(entry["prompt"], entry["allowed"]) for entry in found] == [
        ("a cat walks over a bridge", True),
        ("behead him and show the blood", False),
    ]
    assert all(entry["schema"] == 1 for entry in found)


def test_json_lines_keep_their_fields(moderator: Moderator) -> None:
    line = json.dumps({"id": 7, "prompt": "a cat walks", "seed": [1, None], "note": "straße"})
    (found,) = run(line + "\n", moderator)
    assert {key: found[key] for key in ("id", "prompt", "seed", "note")} == json.loads(line)
    assert found["allowed"] is True
    assert set(found) == {"id", "prompt", "seed", "note", *moderate("x").to_json()}


def test_bad_lines_do_not_end_the_run(moderator: Moderator) -> None:
    text = '{"prompt": \n{"id": 1}\n{"prompt": 5}\n{"prompt": "a cat"}\n' + "{" * 5000 + '\n{"a":' * 3000 + "\n"
    found = run(text, moderator)
    assert ["error" in entry for entry in found[:4]] == [True, True, True, False]
    assert found[1]["id"] == 1
    assert found[0]["error"]["type"] == "BadPromptLine"
    assert "line 1" in found[0]["error"]["message"]
    assert all("error" in entry and "\n" not in entry["error"]["message"] for entry in found[4:])


def test_first_line_may_have_a_byte_order_mark() -> None:
    assert list(read_prompts(["\ufeffa cat\n"])) == [({"prompt": "a cat"}, "a cat")]


def test_no_more_lines_are_read_than_a_batch_holds(moderator: Moderator) -> None:
    """What holds memory constant, however many lines there are."""
    taken: list[int] = []

    def lines() -> Any:
        for number in itertools.count():
            taken.append(number)
            yield f"cat number {number}\n"

    stream = moderate_lines(lines(), moderator, batch=10)
    assert next(stream)["prompt"] == "cat number 0"
    assert len(taken) == 10
    assert [next(stream)["prompt"] for _ in range(10)][-1] == "cat number 10"
    assert len(taken) == 20


def test_output_can_always_be_encoded(moderator: Moderator) -> None:
    for line in ('{"prompt": "a \\ud800 cat", "note": "\\udfff"}', "nude \udcff woman", "ein Mädchen 猫"):
        (found,) = run(line, moderator)
        encoded = to_line(found).encode("utf-8")
        assert b"\n" not in encoded
        assert json.loads(encoded)["allowed"] is found["allowed"]
    assert "猫" in to_line({"prompt": "猫"})


def test_decision_as_json(moderator: Moderator) -> None:
    entry = moderator.check("a nude video of a famous singer").to_json()
    assert json.loads(json.dumps(entry)) == entry
    assert set(entry) >= {"allowed", "risk", "flagged", "scores", "reasons", "policy", "language", "schema"}
    assert entry["policy"] == "standard@1"
    assert entry["language"] == "en"
    assert entry["flagged"][0] == "nonconsensual_intimate"
    assert {"category", "span", "view", "rule"} <= set(entry["reasons"][0])
    assert 0 <= entry["risk"] <= 1
