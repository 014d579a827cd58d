"""``generate`` and ``seal``: videos leave marked, signed and stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from countermark.cli.shell import Json, complain, prompt_lines, show_json, warn
from countermark.errors import UsageError


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

    from countermark.generate import Batch, Request, action_of, load_model
    from countermark.moderation.lines import FAIL_ON, Tally

    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on takes one of {', '.join(FAIL_ON)}, not {fail_on!r}")
    if folder is None:
        raise UsageError("--prompts needs a folder for the videos: -o DIR")
    tally = Tally()
    with prompt_lines(None, source) as stream:
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
        tally.add(action_of(entry))
    with tqdm(desc="videos", unit="video", total=len(batch), initial=tally.lines, disable=None, leave=False) as bar:
        for entry, sealed in batch.run():
            tally.add(action_of(entry))
            bar.update()
            with bar.external_write_mode():
                if sealed is not None and not as_json:
                    _show_sealed(sealed, as_json)
                elif sealed is None:
                    complain(f"prompt {entry['number']}: {entry['error']['message']}")
                if as_json:
                    show_json(entry)
    sys.exit(1 if tally.bad else 3 if tally.fails(fail_on) else 0)


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
    warn(sealed.warnings)
    if as_json:
        show_json(sealed.to_json())
        return
    print(
        f"{sealed.path}: {f'{sealed.seconds:g} s' if sealed.seconds else 'a picture'} by {sealed.model}"
        + (f", seed {sealed.seed}" if sealed.seed is not None else "")
    )
    print(f"  manifest {sealed.manifest_id}")
    print(f"  payload  {sealed.payload}")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"size is WIDTHxHEIGHT in pixels, such as 256x256, not {text!r}")
    return int(parts[0]), int(parts[1])
