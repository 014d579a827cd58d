"""What commands share: how they speak, how they fail, where they read prompts."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from countermark.errors import CountermarkError, UsageError

Json = Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")]


def leave(error: CountermarkError) -> NoReturn:
    """Say what went wrong (with ``--json`` as an object too), and leave with the error's exit code."""
    if "--json" in sys.argv:
        show_json({"error": {"type": type(error).__name__, "message": str(error), **error.details()}})
    complain(str(error))
    sys.exit(error.exit_code)


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"countermark: {message}", file=sys.stderr)


def show_json(value: dict[str, Any]) -> None:
    """One object, one line, on stdout; ASCII, for any terminal and pipe."""
    print(json.dumps(value, ensure_ascii=True), flush=True)


def warn(warnings: Iterable[str]) -> None:
    """Each warning as a note on stderr."""
    for warning in warnings:
        complain(f"note: {warning}")


def prompt_lines(prompts: list[str] | None, source: Path | None) -> Any:
    """The stream that prompts are read from, as a context: arguments, a file, or else stdin."""
    if prompts:  # an argument is one prompt, whatever line breaks or braces it holds
        return io.BytesIO("\n".join(json.dumps({"prompt": text}) for text in prompts).encode())
    if source is None:
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return source.open("rb")
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}") from None
