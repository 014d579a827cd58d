"""The command line: each command is a thin shell over a public function.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by moderation, 4 ``scan --fail-on`` found, 130 interrupted.
Errors are one line on stderr; with ``--json`` also ``{"error": {"type", "message"}}`` on stdout.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from countermark.errors import CountermarkError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Generate moderated, watermarked and signed video; scan files for it; moderate prompts.",
)
keys_app = typer.Typer(no_args_is_help=True, help="The watermark key and the signing identity.", rich_markup_mode=None)
app.add_typer(keys_app, name="keys")

INTERRUPTED = 130  # as shells have it: 128 + SIGINT
Json = Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")]


def main() -> None:
    """Entry point of ``countermark``: runs a command and turns what goes wrong into one line and an exit code.

    Python's development mode (``PYTHONDEVMODE=1``) shows the traceback of an error that nobody foresaw.
    """
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper here; file names need not be text
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:  # newer typers turn an interrupt into its exit code themselves
            raise KeyboardInterrupt
        sys.exit(code)
    except CountermarkError as error:
        _leave(error)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own errors; it does not export their base
            if sys.flags.dev_mode:
                raise
            _leave(CountermarkError(f"unexpected {type(error).__name__}: {error}"))
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        _leave(UsageError(error.format_message()))


def _leave(error: CountermarkError) -> NoReturn:
    if "--json" in sys.argv:
        _print({"error": {"type": type(error).__name__, "message": str(error), **error.details()}})
    _complain(str(error))
    sys.exit(error.exit_code)


def _complain(message: str) -> None:
    print(f"countermark: {message}", file=sys.stderr)


def _print(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=True), flush=True)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        _complain(f"note: {warning}")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"size is WIDTHxHEIGHT in pixels, such as 256x256, not {text!r}")
    return int(parts[0]), int(parts[1])


@app.command()
def generate(
    prompt: Annotated[str | None, typer.Argument(help="What the video shows.", show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The mp4 to write; with --prompts the folder.", show_default=False),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Plain lines, or JSON lines with a prompt; a rerun goes on.", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(help="embedded, or a diffusers pipeline: a folder or a hub id.")] = "embedded",
    seconds: Annotated[float | None, typer.Option(help="Length of the video.", show_default=False)] = None,
    frames: Annotated[
        int | None, typer.Option(help="Exact number of frames, for a diffusers pipeline.", show_default=False)
    ] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.", show_default=False)] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", show_default=False)] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the noise; drawn when absent.", show_default=False)] = None,
    style: Annotated[str | None, typer.Option(help="photorealistic or animated.", show_default=False)] = None,
    negative: Annotated[str | None, typer.Option(help="What the video is not to show.", show_default=False)] = None,
    image: Annotated[Path | None, typer.Option(help="A picture to start from.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu.", show_default=False)] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.", show_default=False)] = None,
    offload: Annotated[
        str | None,
        typer.Option(help="none, model or sequential: what waits in main memory, not on the GPU.", show_default=False),
    ] = None,
    fail_on: Annotated[str, typer.Option(help="With --prompts, leave with 3 on refuse, review (either) or never.")] = (
        "refuse"
    ),
    noise_mark: Annotated[
        bool, typer.Option("--noise-mark", help="Mark the initial noise too, for slow forensic reading.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Generate a video from a prompt, or one from each line of a file: moderated, watermarked, signed and stored."""
    options: dict[str, Any] = {
        "seconds": seconds,
        "frames": frames,
        "size": _size(size),
        "fps": fps,
        "steps": steps,
        "guidance": guidance,
        "style": style,
        "negative": negative,
        "image": image,
    }
    place: dict[str, Any] = {"device": device, "dtype": dtype, "offload": offload}
    if (prompt is None) == (prompts is None):
        raise UsageError("give a prompt, or --prompts and a file of them")
    if prompts is not None:
        _generate_all(prompts, output, fail_on, model, place, seed, noise_mark, options, as_json)
    from countermark.generate import generate as run

    sealed = run(prompt or "", output, model=model, seed=seed, noise_mark=noise_mark, progress=True, **place, **options)
    _show_sealed(sealed, as_json)


def _generate_all(
    source: Path,
    folder: Path | None,
    fail_on: str,
    model: str,
    place: dict[str, Any],
    seed: int | None,
    noise_mark: bool,
    options: dict[str, Any],
    as_json: bool,
) -> NoReturn:
    from tqdm import tqdm

    from countermark.generate import Batch, Request, load_model
    from countermark.moderation.lines import FAIL_ON, Tally

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on takes one of {', '.join(FAIL_ON)}, not {fail_on!r}")
    if folder is None:
        raise UsageError("--prompts needs a folder for the videos: -o DIR")
    tally = Tally()
    with _lines(None, source) as stream:
        batch = Batch(
            stream,
            folder,
            Request("", seed=seed or 0, **options),
            lambda: load_model(model, **place),
            seed=seed,
            noise_mark=noise_mark,
            progress=True,
        )
    for entry in batch.earlier:
        tally.add(_action(entry))
    with tqdm(desc="videos", unit="video", total=len(batch), initial=tally.lines, disable=None, leave=False) as bar:
        for entry, sealed in batch.run():
            tally.add(_action(entry))
            bar.update()
            with bar.external_write_mode():
                if sealed is not None and not as_json:
                    _show_sealed(sealed, as_json)
                elif sealed is None:
                    _complain(f"prompt {entry['number']}: {entry['error']['message']}")
                if as_json:
                    _print(entry)
    sys.exit(1 if tally.bad else 3 if tally.fails(fail_on) else 0)


def _action(entry: dict[str, Any]) -> str | None:
    """What moderation did with a prompt of a batch; None where something else went wrong."""
    if "error" in entry:
        from countermark.generate.batch import REFUSALS

        return "refuse" if entry["error"].get("type") in REFUSALS else None
    return "review" if any(warning.startswith("for review") for warning in entry["warnings"]) else "allow"


@app.command()
def seal(
    src: Annotated[Path, typer.Argument(metavar="IN", help="A video or picture that another generator made.")],
    dst: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write: an mp4; png, jpg or webp for a picture.")
    ],
    source: Annotated[str, typer.Option(help="generated or edited: what a model did.")] = "generated",
    as_json: Json = False,
) -> None:
    """Watermark and sign a video or picture that another generator made."""
    from tqdm import tqdm

    from countermark.provenance import seal as run

    with tqdm(desc="sealing", unit="frame", disable=None, leave=False) as bar:
        sealed = run(src, dst, source=source, progress=bar.update)
    _show_sealed(sealed, as_json)


def _show_sealed(sealed: Any, as_json: bool) -> None:
    _warn(sealed.warnings)
    if as_json:
        _print(sealed.to_json())
        return
    print(
        f"{sealed.path}: {f'{sealed.seconds:g} s' if sealed.seconds else 'a picture'} by {sealed.model}"
        + (f", seed {sealed.seed}" if sealed.seed is not None else "")
    )
    print(f"  manifest {sealed.manifest_id}")
    print(f"  payload  {sealed.payload}")


@app.command()
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
                _complain(result["error"]["message"])
            if as_json:
                _print(result)
            elif sink is None and "error" not in result:
                _show_report(result)
    sys.exit(4 if found else 1 if failed else 0)


def _show_report(result: dict[str, Any]) -> None:
    print(f"{result['path']}: {result['verdict'].replace('_', ' ')}")
    for one in result["evidence"]:
        print(f"  {one['source'].replace('_', ' '):<12} {one['why']}")
    for note in result["notes"]:
        print(f"  {'note':<12} {note}")


@app.command()
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
        typer.Option(help="embedded, openai:URL, or a model's folder or hub id.", show_default=False),
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
    with _lines(prompts, source) as stream:
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
                    _complain(entry["error"]["message"])
                if as_json:
                    _print(entry)
                elif sink is None and decision is not None:
                    print(f"{decision.risk:.3f} {decision.explain()}")
    sys.exit(1 if tally.bad else 3 if tally.fails(fail_on) else 0)


def _lines(prompts: list[str] | None, source: Path | None) -> Any:
    if prompts:  # an argument is one prompt, whatever line breaks or braces it holds
        return io.BytesIO("\n".join(json.dumps({"prompt": text}) for text in prompts).encode())
    if source is None:
        return contextlib.nullcontext(sys.stdin.buffer)
    try:
        return source.open("rb")
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}") from None


def _bar(source: Path | None, out: Path | None) -> Any:
    """A progress bar over prompts, on a terminal that shows no results."""
    from tqdm import tqdm

    total = None
    if source is not None and source.is_file():
        with source.open("rb") as lines:
            total = sum(1 for line in lines if line.strip())
    shown = out is not None or not sys.stdout.isatty()
    return tqdm(desc="moderating", unit="prompt", total=total, disable=None if shown else True, leave=False)


@keys_app.command("init")
def keys_init(as_json: Json = False) -> None:
    """Make the watermark key and, unless settings name another, the TEST signing identity."""
    from countermark.provenance import ensure_identity, keys_of
    from countermark.settings import load_settings

    settings = load_settings()
    _show_keys(keys_of(settings, create=True), ensure_identity(settings), as_json)


@keys_app.command("show")
def keys_show(as_json: Json = False) -> None:
    """Show which keys are in use; secrets are never printed."""
    from countermark.provenance import keys_of, load_identity
    from countermark.settings import load_settings

    settings = load_settings()
    _show_keys(keys_of(settings), load_identity(settings), as_json)


@keys_app.command("rotate")
def keys_rotate(as_json: Json = False) -> None:
    """Mark with a new key from now on; the old one is kept for scanning. TEST certificates are renewed too."""
    from countermark.provenance import ensure_identity, keys_of, rotate_keys
    from countermark.settings import load_settings

    rotate_keys(load_settings())
    settings = load_settings()
    _show_keys(keys_of(settings), ensure_identity(settings), as_json)


def _show_keys(keys: list[Any], identity: Any, as_json: bool) -> None:
    ids = [key.id for key in keys]
    if as_json:
        signer = {"subject": identity.subject, "test": identity.test} if identity else None
        _print({"schema": 1, "watermark_keys": ids, "signer": signer})
        return
    print(f"watermark key: {', '.join(ids) or 'none yet'}")
    print(f"signer: {identity.subject if identity else 'none yet'}")


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=PASS_ON)
def bench(context: typer.Context, name: Annotated[str, typer.Argument(help="Which benchmark.")]) -> None:
    """Run a benchmark and print its table. Further options are the benchmark's own (try --help after its name)."""
    _run_module("benchmarks", name, context.args)


@app.command(context_settings=PASS_ON)
def train(context: typer.Context, name: Annotated[str, typer.Argument(help="Which trainer.")]) -> None:
    """Train a model's weights. Further options are the trainer's own (try --help after its name)."""
    _run_module("training", name, context.args)


def _run_module(room: str, name: str, arguments: list[str]) -> None:
    import importlib
    import pkgutil

    package = importlib.import_module(f"countermark.{room}")
    known = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    if name not in known:
        raise UsageError(f"there is no {name!r} in {room}: choose {', '.join(known)}")
    sys.exit(importlib.import_module(f"countermark.{room}.{name}").main(arguments))


if __name__ == "__main__":
    main()
