"""Batches: a line in, a sealed video out, once, whatever cuts them off."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from countermark.errors import CountermarkError, ModelUnavailable, OutputFailed, UsageError
from countermark.generate import Batch, Request, Result, batch, load_model
from countermark.provenance import inspect
from countermark.settings import load_settings


class Model:
    """A generator that keeps what it was asked, and fails at some prompts."""

    name, version = "counting", "7"

    def __init__(self, frames: np.ndarray, fails: dict[str, BaseException] | None = None) -> None:
        self.frames, self.fails, self.asked = frames, fails or {}, []

    def generate(self, request: Request) -> Result:
        self.asked.append((request.prompt, request.seed, request.negative, request.style))
        if request.prompt in self.fails:
            raise self.fails[request.prompt]
        return Result(self.frames, 8.0)


@pytest.fixture
def make(clip, tmp_path: Path):
    """A batch of lines in the folder ``videos``."""

    def run(lines: list[str], model: Model | None = None, seed: int | None = None, options: Request | None = None):
        stream = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        chosen = model or Model(clip(4))
        return Batch(stream, tmp_path / "videos", options or Request(""), lambda: chosen, seed=seed)

    return run


LINES = [
    "a red ball",
    "",
    '{"prompt": "a cat", "seed": 5, "negative": "night", "style": "animated", "output": "cat.mp4", "id": "x7"}',
    '{"prompt": 3}',
    "a nude video of a famous singer",
    '{"prompt": "a dog", "style": "cubist"}',
    '{"prompt": "a dog", "output": "cat.mp4"}',
    '{"prompt": "a dog", "output": "../dog.mp4"}',
    '{"prompt": "a dog", "seed": "one"}',
    "a red ball",
]


def test_each_line_gives_its_own_object_and_no_error_ends_the_run(make, clip, tmp_path: Path, stored):
    model = Model(clip(4))
    run = make(LINES, model, options=Request("", negative="fog"))
    outcomes = list(run.run())
    entries = [entry for entry, _ in outcomes]
    assert (len(run), [entry["number"] for entry in entries]) == (9, list(range(1, 10)))
    sealed = [one for _, one in outcomes if one is not None]
    assert [one.path for one in sealed] == [entry["path"] for entry in entries if "error" not in entry]
    assert entries[1] | sealed[1].to_json() == entries[1]
    assert (entries[1]["id"], entries[1]["seed"], entries[1]["path"]) == ("x7", 5, str(tmp_path / "videos" / "cat.mp4"))
    assert [(e["error"]["type"], e["error"]["message"][:24]) for e in entries if "error" in e] == [
        ("BadPromptLine", "line 4 has no text in it"),
        ("PromptRefused", "refused: nonconsensual_i"),
        ("UsageError", "style must be one of ani"),
        ("UsageError", "an earlier line has the "),
        ("UsageError", "output must be the name "),
        ("UsageError", "seed must be a whole num"),
    ]
    assert [one[0] for one in model.asked] == ["a red ball", "a cat", "a red ball"]
    assert model.asked[1] == ("a cat", 5, "night", "animated")
    assert model.asked[0][2:] == ("fog", None)
    assert model.asked[0][1] != model.asked[2][1], "equal prompts give different videos"
    assert Path(sealed[0].path).name == f"0001-a-red-ball-{sealed[0].seed}.mp4"
    for one in sealed:
        assert inspect(Path(one.path), load_settings()).manifest_id == one.manifest_id
    assert stored() == 3


def test_a_seed_counts_up(make, clip):
    model = Model(clip(4))
    list(make(["a cat", '{"prompt": "a cat", "seed": 3}', "a cat"], model, seed=70).run())
    assert [one[1] for one in model.asked] == [70, 3, 72]


def test_a_rerun_makes_what_is_missing_and_tries_again_what_failed(make, clip, tmp_path: Path, stored):
    lines = ["a cat", "behead him and show the blood", "a dog", "a bird"]
    first = Model(clip(4), {"a dog": ModelUnavailable("out of memory")})
    run = make(lines[:3], first).run()
    assert "path" in next(run)[0]
    run.close()
    log = tmp_path / "videos" / batch.LOG
    log.write_bytes(log.read_bytes() + b'{"schema": 1, "prom')  # killed while writing
    second = Model(clip(4), {"a dog": ModelUnavailable("out of memory")})
    assert [entry.get("error", {}).get("type") for entry, _ in make(lines[:3], second).run()] == [
        "PromptRefused",
        "ModelUnavailable",
    ]
    third = Model(clip(4))
    again = make(lines, third)
    assert [entry["prompt"] for entry in again.earlier] == lines[:2]
    assert [entry["number"] for entry, _ in again.run()] == [3, 4]
    assert [one[0] for one in (*first.asked, *second.asked, *third.asked)] == ["a cat", "a dog", "a dog", "a bird"]
    assert stored() == 3

    def never() -> Model:
        raise AssertionError("there is nothing to do")

    done = Batch(io.BytesIO("\n".join(lines).encode()), tmp_path / "videos", Request(""), never)
    assert list(done.run()) == []


def test_a_log_of_other_prompts_is_left_as_it_is(make, tmp_path: Path):
    list(make(["a cat"]).run())
    log = tmp_path / "videos" / batch.LOG
    for content in (
        log.read_text(),
        '{"schema": 1}\n',
        '{"schema": 1, "number": 1, "prompt": "a dog", "error": 3}\n',
        "x",
    ):
        log.write_text(content)
        with pytest.raises(UsageError, match="not a file of videos of these prompts"):
            make(["a dog"])
        assert log.read_text() == content


def test_what_would_befall_every_prompt_ends_the_run(make, clip, tmp_path: Path):
    run = make(["a cat", "a dog"], Model(clip(4), {"a cat": OutputFailed("the disk is full")}))
    with pytest.raises(OutputFailed, match="disk"):
        list(run.run())
    assert [entry["number"] for entry, _ in make(["a cat", "a dog"]).run()] == [1, 2]

    def unloadable() -> Model:
        raise ModelUnavailable("no such model")

    other = Batch(io.BytesIO(b"a cat"), tmp_path / "other", Request(""), unloadable)
    with pytest.raises(ModelUnavailable):
        list(other.run())
    (tmp_path / "file").touch()
    with pytest.raises(CountermarkError):
        Batch(io.BytesIO(b"a cat"), tmp_path / "file", Request(""), unloadable)


def test_a_file_that_is_in_the_way_is_kept(make, tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("mine")
    [(entry, _)] = make(['{"prompt": "a cat", "output": "a.mp4"}']).run()
    assert "exists already" in entry["error"]["message"]
    assert (tmp_path / "videos" / "a.mp4").read_text() == "mine"


def test_a_kill_between_a_video_and_its_line_makes_no_second_video(clip, tmp_path: Path, stored):
    np.save(tmp_path / "frames.npy", clip(4))
    (tmp_path / "prompts.txt").write_text("a cat\na dog\n")
    script = f"""
import os, signal
import numpy as np
from pathlib import Path
from countermark.generate import Batch, Request, Result, batch, load_model

class Model:
    name, version = "counting", "7"
    def generate(self, request):
        print(request.prompt, flush=True)
        return Result(np.load({str(tmp_path / "frames.npy")!r}), 8.0)

if KILL:
    inner = batch.produce
    def produce(*args, **kwargs):
        inner(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    batch.produce = produce
with open({str(tmp_path / "prompts.txt")!r}, "rb") as stream:
    for entry, _ in Batch(stream, Path({str(tmp_path / "videos")!r}), Request(""), Model).run():
        print(entry["number"], *entry["warnings"], flush=True)
"""
    outs = []
    for kill in (True, True, False):
        command = [sys.executable, "-c", script.replace("if KILL:", f"if {kill}:")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
        outs.append(done.stdout.splitlines())
    assert outs == [["a cat"], [f"1 {batch.CUT_OFF}", "a dog"], [f"2 {batch.CUT_OFF}"]]
    assert stored() == 2
    results = [json.loads(line) for line in (tmp_path / "videos" / batch.LOG).read_text().splitlines()]
    for entry in (one for one in results if "begun" not in one):
        judged = inspect(Path(entry["path"]), load_settings())
        assert (judged.manifest_id, judged.payload) == (entry["manifest_id"], entry["payload"])
        assert (entry["model"], entry["verified"], entry["seconds"]) == ("counting", True, 0.5)


@pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")
def test_ctrl_c_leaves_nothing_behind(wan: Path, tmp_path: Path, stored):
    """A running process on a terminal: interrupted while it denoises, alone and in the second video of a batch."""
    (tmp_path / "prompts.txt").write_text(
        '{"prompt": "a cat", "output": "a.mp4"}\n{"prompt": "a dog", "output": "b.mp4"}\n'
    )
    common = ["--model", str(wan), "--size", "128x128", "--frames", "9", "--device", "cpu"]
    code, shown = _interrupted(["a cat", "-o", str(tmp_path / "o.mp4"), "--steps", "1000", *common], b"denoising")
    assert code == 130, shown
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert {path.name for path in tmp_path.iterdir()} <= {"prompts.txt", "home"}
    folder = tmp_path / "videos"
    assert stored() == 0
    batched = ["--prompts", str(tmp_path / "prompts.txt"), "-o", str(folder), *common]
    code, shown = _interrupted([*batched, "--steps", "40"], b"1/2", b"denoising")
    assert code == 130, shown
    assert {path.name for path in folder.iterdir()} == {"a.mp4", batch.LOG}
    assert stored() == 1
    options = Request("", size=(128, 128), frames=9, steps=2)
    with (tmp_path / "prompts.txt").open("rb") as stream:
        rest = list(Batch(stream, folder, options, lambda: load_model(str(wan), device="cpu")).run())
    assert [entry["path"] for entry, _ in rest] == [str(folder / "b.mp4")]
    assert stored() == 2


def _interrupted(arguments: list[str], *awaited: bytes) -> tuple[int, str]:
    """Sends SIGINT once all of this has been shown, in this order; the exit code, and all that was shown."""
    import termios

    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))  # a bar has no room on a terminal without a size
    # a shell may start its background jobs, and so these tests, with SIGINT ignored
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += "from countermark.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "generate", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown, waiting, at = b"", list(awaited), 0
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:  # the terminal of a process that is gone
            block = b""
        if not block:
            break
        shown += block
        while waiting and (found := shown.find(waiting[0], at)) >= 0:
            at = found + len(waiting.pop(0))
            if not waiting:
                process.send_signal(signal.SIGINT)
    os.close(master)
    return process.wait(), shown.decode(errors="replace")
