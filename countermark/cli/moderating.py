"""``moderate``: are these prompts allowed?"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from countermark.cli.shell import Json, complain, prompt_lines, show_json
from countermark.errors import UsageError


def moderate(
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Prompts; none: read --input or stdin.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="Plain lines, or JSON lines with a prompt.", show_default=False)
    ] = None,
    policy: Annotated[str | None, typer.Option(help="A policy's name, or a policy file.", show_default=False)] = None,
    model: Annotated[
        str | None,
        typer.Option(help="embedded, linear, cascade, openai:URL, or a model's folder or hub id.", show_default=False),
    ] = None,
    terms: Annotated[
        Path | None, typer.Option(help="Further terms: category: phrase lines.", show_default=False)
    ] = None,
    allow: Annotated[Path | None, typer.Option(help="Phrases that are harmless here.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Add JSON lines to this file; a rerun goes on.", show_default=False)
    ] = None,
    fail_on: Annotated[str, typer.Option(help="Leave with 3 on refuse, review (either) or never.")] = "refuse",
    audit: Annotated[Path | None, typer.Option(help="Log decisions here, without prompts.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Say of prompts whether they are allowed; refused prompts give exit code 3."""
    from countermark.moderation import moderator_of
    from countermark.moderation.lines import FAIL_ON, Tally, judge, read_batches, skip_finished, to_line
    from countermark.outputs import LineFile
    from countermark.settings import load_settings

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on takes one of {', '.join(FAIL_ON)}, not {fail_on!r}")
    if prompts and source is not None:
        raise UsageError("give prompts or --input, not both")
    moderator = moderator_of(
        load_settings(), "moderate", policy=policy, model=model, terms=terms, allow=allow, audit=audit
    )
    tally = Tally()
    with prompt_lines(prompts, source) as stream:
        batches = read_batches(stream)
        batches = skip_finished(batches, out, tally.add) if out is not None else batches
        with LineFile(out) if out is not None else contextlib.nullcontext() as sink, _bar(source, out) as bar:
            bar.update(tally.lines)
            for entry, decision in judge(batches, moderator):
                tally.add(decision.action if decision else None)
                bar.update()
                if sink is not None:
                    sink.write(to_line(entry))
                if decision is None:
                    complain(entry["error"]["message"])
                if as_json:
                    show_json(entry)
                elif sink is None and decision is not None:
                    print(f"{decision.risk:.3f} {decision.explain()}")
    sys.exit(1 if tally.bad else 3 if tally.fails(fail_on) else 0)


def _bar(source: Path | None, out: Path | None) -> Any:
    """A progress bar over prompts, on a terminal that shows no results."""
    from tqdm import tqdm

    total = None
    if source is not None and source.is_file():
        with source.open("rb") as lines:
            total = sum(1 for line in lines if line.strip())
    shown = out is not None or not sys.stdout.isatty()
    return tqdm(desc="moderating", unit="prompt", total=total, disable=None if shown else True, leave=False)
