"""``scan``: were these files generated?"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from countermark.cli.shell import Json, complain, show_json
from countermark.errors import UsageError


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders or patterns.")],
    workers: Annotated[int, typer.Option(help="Processes to scan with.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Add JSON lines to this file; a rerun goes on.", show_default=False)
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="Leave with 4 when a file gets this verdict.", show_default=False)
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Stop once our mark is read; look for no cropped or turned copies of it.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a report of one file here, to be read by people.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Say of files, with evidence, whether they were generated."""
    from countermark.report import VERDICTS

    if fail_on is not None and fail_on not in VERDICTS:
        raise UsageError(f"--fail-on takes one of {', '.join(VERDICTS)}, not {fail_on!r}")
    if html is not None and out is not None:
        raise UsageError("give --html or --out, not both")
    from tqdm import tqdm

    from countermark.detect import done_paths, expand, scan_many
    from countermark.outputs import LineFile

    files = expand(paths)
    if not files:
        raise UsageError("there is no image or video at " + " ".join(paths))
    if html is not None and len(files) > 1:
        raise UsageError(f"--html takes one file, not {len(files)}")
    done = done_paths(out) if out is not None else {}
    earlier = [verdict for file in files if (verdict := done.get(str(file))) is not None]
    files = [file for file in files if str(file) not in done]
    found, failed = fail_on in earlier, "" in earlier
    with LineFile(out) if out is not None else contextlib.nullcontext() as sink:
        results = scan_many(files, workers=workers, fast=fast, html=html)
        for result in tqdm(results, total=len(files), unit="file", disable=None, leave=False):
            failed |= "error" in result
            found |= fail_on is not None and result.get("verdict") == fail_on
            if sink is not None:
                sink.write(json.dumps(result))
            if "error" in result:
                complain(result["error"]["message"])
            if as_json:
                show_json(result)
            elif sink is None and "error" not in result:
                _show_report(result)
    sys.exit(4 if found else 1 if failed else 0)


def _show_report(result: dict[str, Any]) -> None:
    print(f"{result['path']}: {result['verdict'].replace('_', ' ')}")
    for one in result["evidence"]:
        print(f"  {one['source'].replace('_', ' '):<12} {one['why']}")
    for note in result["notes"]:
        print(f"  {'note':<12} {note}")
