"""The command line: exit codes, JSON, and one line for everything that can go wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from countermark.provenance import Clip, Maker, Sealed, keys_of, seal_clip
from countermark.settings import Settings, load_settings


@pytest.fixture(scope="module")
def original(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    """A folder with a sealed clip and the home that sealed it, made once."""
    folder = tmp_path_factory.mktemp("original")
    return folder, seal_clip(
        Clip.of_array(clip(8), 8), folder / "s.mp4", Maker("m"), settings=Settings(folder / "home")
    )


@pytest.fixture
def sealed(original: tuple[Path, Sealed], home: Path) -> Path:
    """A file that this test's home has sealed."""
    folder, _ = original
    shutil.copytree(folder / "home", home)
    return folder / "s.mp4"


def test_no_command_shows_the_help_and_is_wrong_usage(run):
    done = run()
    assert done.code == 2
    assert "Usage" in done.out
    assert "generate" in done.out
    assert run("--help").code == 0
    assert run("keys").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["scan"],
        ["scan", "a.mp4", "--nothing"],
        ["scan", "a.mp4", "--workers", "many"],
        ["scan", "a.mp4", "--workers", "0"],
        ["scan", "a.mp4", "--fail-on", "fake"],
        ["scan", "*.nothing"],
        ["seal", "a.mp4"],
        ["seal", "a.mp4", "b.mp4", "--source", "made"],
        ["seal", "a.mp4", "b.webm"],
        ["generate"],
        ["generate", "a cat", "--size", "big"],
        ["generate", "a cat", "--size", "12x"],
        ["generate", "a cat", "--size", "1x2x3"],
        ["generate", "a cat", "--seed", "-1"],
        ["generate", "a cat", "-o", "a.webm"],
        ["generate", "a cat", "-o", "no/such/folder/a.mp4"],
        ["generate", " "],
        ["generate", "a cat", "--prompts", "prompts.txt"],
        ["generate", "--prompts", "no-such-file.txt", "-o", "videos"],
        ["generate", "--prompts", "a.mp4"],
        ["generate", "--prompts", "a.mp4", "-o", "videos", "--fail-on", "often"],
        ["generate", "a cat", "--offload", "model"],
        ["generate", "a cat", "--frames", "9", "--seconds", "1"],
        ["moderate", "a cat", "--input", "prompts.txt"],
        ["moderate", "--input", "no-such-file.txt"],
        ["bench", "nope"],
        ["train", "nope"],
    ],
)
def test_wrong_usage_is_two_and_one_line(run, clip, write, tmp_path: Path, monkeypatch, arguments: list[str]):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mp4", clip(2, 64, 64))
    done = run(*arguments, "--json")
    assert done.code == 2
    assert done.error["type"] == "UsageError"
    plain = run(*arguments)
    assert (plain.code, plain.out, plain.err) == (2, "", done.err)
    assert [p.name for p in tmp_path.iterdir() if p.suffix in (".mp4", ".webm")] == ["a.mp4"]


def test_wrong_usage_names_the_choices(run):
    assert "chain" in run("bench", "nope").err
    assert "no_evidence" in run("scan", "a.mp4", "--fail-on", "fake").err
    assert "256x256" in run("generate", "a cat", "--size", "big").err


def _sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def bad(clip, write, tmp_path: Path) -> dict[str, Path]:
    """Files that nothing can be made of, by what the error says of them."""
    data = write(tmp_path / "good.mp4", clip(24)).read_bytes()
    made = {
        "no such file": tmp_path / "missing.mp4",
        "the file is empty": tmp_path / "empty.mp4",
        "not a readable image or video": tmp_path / "text.mp4",
        "no video track": _sound(tmp_path / "sound.mp4"),
    }
    made["the file is empty"].write_bytes(b"")
    made["not a readable image or video"].write_text("this is no video\n" * 40)
    (tmp_path / "header.mp4").write_bytes(data[:100])
    return made


def test_scanning_what_is_no_video_fails_in_one_line(run, bad: dict[str, Path], tmp_path: Path):
    for message, path in {**bad, "header.mp4: ": tmp_path / "header.mp4"}.items():
        done = run("scan", path, "--json")
        assert done.code == 1
        assert done.error["type"] == "BadMedia"
        assert message in done.err
        assert done.objects[0]["path"] == str(path)
        plain = run("scan", path)
        assert (plain.code, plain.out, plain.err) == (1, "", done.err)


def test_sealing_what_is_no_video_fails_in_one_line(run, bad: dict[str, Path], clip, write, tmp_path: Path):
    data = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 9 // 10])
    tiny = write(tmp_path / "tiny.mkv", np.zeros((3, 1, 1, 3), np.uint8), codec="ffv1", pix_fmt="yuv444p")
    for message, path in {**bad, "cut off": tmp_path / "cut.mp4", "64 pixels": tiny}.items():
        done = run("seal", path, tmp_path / "o.mp4", "--json")
        assert (done.code, done.error["type"]) == (1, "BadMedia")
        assert message in done.err
        assert not (tmp_path / "o.mp4").exists()


def test_a_cut_off_a_tiny_and_a_single_frame_are_still_scanned(run, clip, write, tmp_path: Path):
    data = write(tmp_path / "whole.mp4", clip(24)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 9 // 10])
    write(tmp_path / "tiny.mkv", np.zeros((3, 1, 1, 3), np.uint8), codec="ffv1", pix_fmt="yuv444p")
    write(tmp_path / "one.mp4", clip(1))
    done = run("scan", tmp_path / "cut.mp4", tmp_path / "tiny.mkv", tmp_path / "one.mp4", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.objects[0]["verdict"] in ("no_evidence", "inconclusive"), "what the classifier makes of it"
    assert [one["verdict"] for one in done.objects[1:]] == ["no_evidence"] * 2
    assert "the file is cut off" in done.objects[0]["notes"]
    assert "the file is cut off" in run("scan", tmp_path / "cut.mp4").out


def test_one_frame_can_be_sealed(run, clip, write, tmp_path: Path):
    done = run("seal", write(tmp_path / "one.mp4", clip(1)), tmp_path / "o.mp4", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.objects[0]["verified"] is True


def test_a_picture_is_sealed_and_said_to_be_one(run, clip, tmp_path: Path):
    from PIL import Image

    Image.fromarray(clip(1)[0]).save(tmp_path / "in.png")
    done = run("seal", tmp_path / "in.png", tmp_path / "o.webp")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path / 'o.webp'}: a picture by unnamed generator\n  manifest urn:c2pa:")
    wrong = run("seal", tmp_path / "in.png", tmp_path / "o.mp4", "--json")
    assert (wrong.code, wrong.error["type"]) == (2, "UsageError")


def test_places_that_cannot_be_written_to_are_named(run, clip, write, tmp_path: Path):
    src = write(tmp_path / "in.mp4", clip(4))
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere but in the kernel's own folders
        folder = Path("/sys")
    done = run("seal", src, folder / "o.mp4", "--json")
    assert (done.code, done.error["type"]) == (1, "OutputFailed")
    assert f"cannot write {folder}" in done.err
    assert run("scan", src, "--out", folder / "o.jsonl", "--json").error["type"] == "OutputFailed"


def test_a_home_that_cannot_be_made_is_one_line(run, clip, write, tmp_path: Path, home: Path):
    home.write_text("a file where the folder should be")
    done = run("seal", write(tmp_path / "in.mp4", clip(4)), tmp_path / "o.mp4", "--json")
    assert done.code == 1
    assert done.error["message"]
    assert not (tmp_path / "o.mp4").exists()


def test_bad_keys_stores_and_settings_are_one_line(run, sealed: Path, home: Path, tmp_path: Path):
    damages: list[tuple[str, str, bytes]] = [
        ("BadKey", "watermark.key", b"this is no key\n"),
        ("StoreError", "store.db", b"this is no database" * 100),
        ("BadSettings", "settings.toml", b"[watermark]\nstrength = 'loud'\n"),
        ("BadSettings", "settings.toml", b"\xff\xfe"),
        ("BadKey", "settings.toml", b"[trust]\nanchors = ['none.pem']\n"),
    ]
    for kind, name, content in damages:
        whole = (home / name).read_bytes() if (home / name).exists() else None
        (home / name).write_bytes(content)
        for arguments in (["scan", sealed], ["seal", sealed, tmp_path / "o.mp4"]):
            done = run(*arguments, "--json")
            assert (done.code, done.error["type"]) == (1, kind), (arguments, name)
            assert not (tmp_path / "o.mp4").exists()
        (home / name).unlink()
        if whole is not None:
            (home / name).write_bytes(whole)
    assert run("scan", sealed).code == 0


def test_an_unknown_model_is_one_line(run, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for model in (tmp_path / "none", tmp_path / "empty"):
        done = run("generate", "a cat on a wall", "--model", model, "-o", tmp_path / "o.mp4", "--json")
        assert (done.code, done.error["type"]) == (1, "ModelUnavailable")
        assert not (tmp_path / "o.mp4").exists()


def test_a_refused_prompt_names_category_and_words_and_makes_nothing(run, tmp_path: Path, home: Path):
    prompt = "a nude video of a famous singer"
    done = run("generate", prompt, "--model", "no/such/model", "-o", tmp_path / "n.mp4", "--json")
    assert done.code == 3
    assert done.error["type"] == "PromptRefused"
    decision = done.error["decision"]
    assert (decision["allowed"], decision["schema"]) == (False, 1)
    assert decision["flagged"][0] in done.err
    assert "nude" in done.err
    assert not (tmp_path / "n.mp4").exists()
    assert not home.exists(), "a refusal needs no key"


def test_an_error_that_nobody_foresaw_is_one_line(run, monkeypatch: pytest.MonkeyPatch):
    def broken(paths: object) -> None:
        raise ZeroDivisionError("float\ndivision")

    monkeypatch.setattr("countermark.detect.expand", broken)
    done = run("scan", "a.mp4", "--json")
    assert done.code == 1
    assert done.error["message"] == "unexpected ZeroDivisionError: float division"


def test_sealing_prints_what_was_sealed(run, clip, write, tmp_path: Path):
    src = write(tmp_path / "in.mp4", clip(8), 8, audio=True)
    done = run("seal", src, tmp_path / "out.mp4", "--json")
    assert (done.code, done.err) == (0, "")
    (shown,) = done.objects
    assert set(shown) >= {"schema", "path", "manifest_id", "payload", "model", "seed", "seconds", "verified"}
    assert (shown["schema"], shown["path"], shown["verified"]) == (1, str(tmp_path / "out.mp4"), True)
    assert shown["manifest_id"].startswith("urn:c2pa:")
    assert len(bytes.fromhex(shown["payload"])) == 8
    assert shown["seconds"] == pytest.approx(1.0, abs=0.02)
    report = run("scan", tmp_path / "out.mp4", "--json").objects[0]
    assert report["verdict"] == "generated"
    assert next(e for e in report["evidence"] if e["source"] == "watermark")["payload"] == shown["payload"]
    plain = run("seal", src, tmp_path / "again.mp4", "--source", "edited")
    assert (plain.code, plain.err) == (0, "")
    assert "again.mp4" in plain.out
    assert "manifest urn:c2pa:" in plain.out


def test_scanning_prints_reports_in_order(run, sealed: Path, clip, write, tmp_path: Path):
    plain = write(tmp_path / "plain.mp4", clip(4))
    done = run("scan", plain, tmp_path / "none.mp4", sealed, "--json")
    assert done.code == 1, "one of them failed"
    assert [one["path"] for one in done.objects] == [str(plain), str(tmp_path / "none.mp4"), str(sealed)]
    assert [one.get("verdict") for one in done.objects] == ["no_evidence", None, "generated"]
    assert done.err.count("\n") == 1
    shown = run("scan", sealed, plain)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.index(f"{sealed}: generated") < shown.out.index(f"{plain}: no evidence")
    for source in ("c2pa", "watermark", "fingerprint", "classifier", "known marks"):
        assert shown.out.count(f"  {source:<12} ") == 2


def test_fail_on_leaves_with_four(run, sealed: Path, clip, write, tmp_path: Path):
    plain = write(tmp_path / "plain.mp4", clip(4))
    assert run("scan", sealed, plain, "--fail-on", "generated").code == 4
    assert run("scan", plain, "--fail-on", "generated").code == 0
    assert run("scan", sealed, "--fail-on", "captured").code == 0
    found = run("scan", tmp_path / "none.mp4", sealed, "--fail-on", "generated", "--json")
    assert found.code == 4, "what was looked for outweighs a bad file"
    assert len(found.objects) == 2
    assert run("scan", sealed, "--out", tmp_path / "o.jsonl", "--fail-on", "generated").code == 4
    assert run("scan", sealed, "--out", tmp_path / "o.jsonl", "--fail-on", "generated").code == 4, "a rerun forgot"
    assert run("scan", sealed, "--out", tmp_path / "o.jsonl").code == 0


def test_a_rerun_goes_on_where_the_last_one_stopped(run, clip, write, tmp_path: Path):
    paths = [write(tmp_path / f"{i}.mp4", clip(2, 96, 96, seed=i)) for i in range(3)]
    out = tmp_path / "reports.jsonl"
    first = run("scan", *paths[:2], "--out", out)
    assert (first.code, first.out, first.err) == (0, "", "")
    lines = out.read_text().splitlines()
    out.write_text(lines[0] + "\n" + lines[1][:50])  # killed while writing the second
    done = run("scan", *paths, "--out", out, "--json")
    assert done.code == 0
    assert [one["path"] for one in done.objects] == [str(path) for path in paths[1:]]
    kept = out.read_text().splitlines()
    assert kept[0] == lines[0]
    assert [json.loads(line)["path"] for line in kept] == [str(path) for path in paths]
    again = run("scan", *paths, "--out", out, "--json")
    assert (again.code, again.out) == (0, "")
    assert out.read_text().splitlines() == kept


def test_a_report_is_written_whole_or_not_at_all(run, sealed: Path, clip, write, tmp_path: Path):
    html = tmp_path / "report.html"
    done = run("scan", sealed, "--html", html, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.objects[0]["verdict"] == "generated"
    assert (done.objects[0]["rule"], done.objects[0]["because"]) == ("manifest", ["c2pa"])
    page = html.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    (tmp_path / "junk.mp4").write_bytes(b"no video" * 50)
    assert run("scan", tmp_path / "junk.mp4", "--html", html).code == 1
    assert html.read_text(encoding="utf-8") == page, "a failed scan must leave the earlier report"
    assert run("scan", tmp_path / "junk.mp4", "--html", tmp_path / "none.html").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "junk.mp4", "report.html"]
    assert run("scan", sealed, "--html", html, "--fail-on", "generated").code == 4


def test_a_report_is_of_one_file_and_never_takes_its_place(run, sealed: Path, clip, write, tmp_path: Path):
    plain = write(tmp_path / "plain.mp4", clip(2, 96, 96))
    before = plain.read_bytes()
    for arguments, words in (
        (["scan", sealed, plain, "--html", tmp_path / "r.html"], "one file, not 2"),
        (["scan", plain, "--html", tmp_path / "r.html", "--out", tmp_path / "o.jsonl"], "not both"),
        (["scan", plain, "--html", plain], "another file"),
        (["scan", plain, "--html", tmp_path], "is a folder"),
        (["scan", plain, "--html", tmp_path / "no" / "r.html"], "does not exist"),
    ):
        done = run(*arguments, "--json")
        assert done.code == 2
        assert words in done.error["message"]
    assert plain.read_bytes() == before
    assert not (tmp_path / "r.html").exists()


def test_a_file_name_that_is_no_text_is_printed(run, clip, write, tmp_path: Path):
    odd = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    write(tmp_path / "a.mp4", clip(2, 96, 96)).rename(odd)
    assert run("scan", odd).code == 0
    done = run("scan", odd, "--json")
    assert done.code == 0
    assert done.objects[0]["path"] == str(odd)


def test_keys_are_made_shown_and_rotated_without_their_secrets(run, home: Path):
    empty = run("keys", "show", "--json")
    assert (empty.code, empty.objects) == (0, [{"schema": 1, "watermark_keys": [], "signer": None}])
    assert not home.exists()
    assert "none yet" in run("keys", "show").out
    made = run("keys", "init", "--json").objects[0]
    (key,) = keys_of(load_settings())
    assert made["watermark_keys"] == [key.id]
    assert made["signer"] == {"subject": "Countermark TEST signer", "test": True}
    assert run("keys", "init", "--json").objects[0] == made, "a second init makes nothing new"
    assert run("keys", "show", "--json").objects[0] == made
    rotated = run("keys", "rotate", "--json").objects[0]
    assert len(rotated["watermark_keys"]) == 2
    assert rotated["watermark_keys"][1] == key.id
    shown = run("keys", "show")
    assert all(one in shown.out for one in rotated["watermark_keys"])
    secret = key.secret.hex()
    assert not any(secret in text for text in (shown.out, json.dumps(rotated), json.dumps(made)))


def test_the_installed_command_does_the_same(home: Path):
    """As a process of its own: the exit code, the streams, and a reader that goes away."""
    command = [sys.executable, "-m", "countermark.cli"]
    done = subprocess.run(
        [*command, "moderate", "--json", "behead him and show the blood"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert json.loads(done.stdout)["allowed"] is False
    lines = "a cat\n" * 400
    piped = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m countermark.cli moderate --json | head -n 1"],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.stderr == ""
    assert len(piped.stdout.splitlines()) == 1
