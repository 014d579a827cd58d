"""The command line, run in this process."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from countermark.cli import main


@dataclass(frozen=True)
class Done:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error object, after checking that the error is exactly one line on stderr and one object on stdout."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        (shown,) = self.objects
        assert set(shown["error"]) >= {"type", "message"}
        assert self.err == f"countermark: {shown['error']['message']}\n"
        error: dict[str, Any] = shown["error"]
        return error


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``countermark`` with these arguments in this process; ``stdin`` as text or bytes."""

    def call(*arguments: object, stdin: str | bytes = "") -> Done:
        data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        monkeypatch.setattr(sys, "argv", ["countermark", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        seen = capsys.readouterr()
        return Done(left.value.code if isinstance(left.value.code, int) else 0, seen.out, seen.err)

    return call
