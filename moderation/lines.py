"""Many prompts: lines in, one JSON object a line out, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from countermark.moderation.decision import printable
from countermark.moderation.moderator import Moderator

__all__ = ["moderate_lines", "read_prompts", "to_line"]

Prompt = tuple[dict[str, Any], str | None]


def read_prompts(stream: Iterable[str] | IO[str]) -> Iterator[Prompt]:
    """``(fields, prompt)`` of each line that is not blank.

    A line that begins with ``{`` is a JSON object with ``prompt``, and ``fields`` is that object; any other line is a
    prompt itself. For a JSON line that is malformed or has no text in ``prompt``, the prompt is None and ``fields`` is
    ``{"error": {"type", "message"}}`` beside whatever could be read.
    """
    for number, line in enumerate(stream, 1):
        text = line.removeprefix("\ufeff") if number == 1 else line
        text = text.rstrip("\r\n")
        if not text.strip():
            continue
        if not text.lstrip().startswith("{"):
            yield {"prompt": text}, text
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield _error({}, f"line {number} is not valid JSON: {error}"), None
            continue
        prompt = fields.get("prompt")
        if isinstance(prompt, str):
            yield fields, prompt
        else:
            yield _error(fields, f"line {number} has no text in its field prompt"), None


def moderate_lines(lines: Iterable[str], moderator: Moderator) -> Iterator[dict[str, Any]]:
    """One object for each line of prompts: its own fields, then the decision's. Bad lines give ``error`` instead."""
    for fields, prompt in read_prompts(lines):
        yield fields if prompt is None else {**fields, **moderator.check(prompt).to_json()}


def to_line(fields: dict[str, Any]) -> str:
    """One JSON line that can always be encoded as UTF-8; lone surrogates stay as ``\\ud800`` escapes."""
    line = json.dumps(fields, ensure_ascii=False)
    return line if printable(line) == line else json.dumps(fields)


def _error(fields: dict[str, Any], message: str) -> dict[str, Any]:
    return {**fields, "error": {"type": "BadPromptLine", "message": " ".join(message.split())}}
