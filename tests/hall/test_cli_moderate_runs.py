"""Long runs of ``countermark moderate``: files that resume, exit codes, the bar, own terms, the audit log."""

import json
import os
import select
import subprocess
import sys
import termios
from pathlib import Path

import pytest

HARMFUL = "behead him and show the blood"
DRAWN = "Pikachu rides a bicycle"  # flagged for review by the policy below
COMMAND = [sys.executable, "-m", "countermark.cli", "moderate"]


@pytest.fixture
def reviewing(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\nversion = 1\n[categories.ip]\nthreshold = 0.4\naction = "review"\n')
    return path


@pytest.mark.parametrize(
    ("fail_on", "codes"), [(None, (0, 0, 3)), ("refuse", (0, 0, 3)), ("review", (0, 3, 3)), ("never", (0, 0, 0))]
)
def test_what_a_run_fails_on_can_be_chosen(run, reviewing: Path, fail_on: str | None, codes: tuple[int, ...]):
    options = ["--policy", reviewing, *(["--fail-on", fail_on] if fail_on else [])]
    assert tuple(run("moderate", text, *options).code for text in ("a cat", DRAWN, HARMFUL)) == codes
    bad = run("moderate", *options, stdin='{"prompt": 3}\n' + HARMFUL + "\n")
    assert bad.code == 1, "a bad line weighs more"


def test_an_unknown_choice_is_wrong_usage(run):
    done = run("moderate", "a cat", "--fail-on", "rubbish", "--json")
    assert (done.code, done.error["type"]) == (2, "UsageError")
    assert "refuse, review, never" in done.error["message"]


def lines(count: int) -> list[str]:
    """Prompts of all kinds: plain, JSON with other fields, blank, bad, harmful, the same again."""
    kinds = [
        "a cat walks over bridge number {}",
        '{{"id": {}, "prompt": "ein Hund läuft", "schema": "own", "tags": ["x", null, 1.5]}}',
        "",
        '{{"id": {}, "prompt": 7}}',
        "a cat walks over a bridge",
        f'{{{{"prompt": "{HARMFUL}", "n": {{}}}}}}',
        '{{"prompt": ',
        "n\u200bude {} \u732b",
    ]
    return [kinds[i % len(kinds)].format(i) for i in range(count)]


def test_results_go_to_a_file(run, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    text = "\n".join(lines(16)) + "\n"
    done = run("moderate", "--out", out, stdin=text)
    shown = run("moderate", "--json", stdin=text)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 4)
    assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == shown.objects
    first, second = shown.objects[:2]
    assert list(first)[:3] == ["schema", "prompt", "allowed"]
    assert (second["id"], second["tags"], second["schema"]) == (1, ["x", None, 1.5], 1)
    assert "läuft" in out.read_text("utf-8")


@pytest.mark.parametrize("cut", [0, 3, 40, -1])
def test_a_rerun_goes_on_where_the_last_one_stopped(run, tmp_path: Path, cut: int):
    """After any number of whole lines, and of a torn one as many bytes as were written."""
    source, whole, out = tmp_path / "in.txt", tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(lines(40)), "utf-8")
    first = run("moderate", "--input", source, "--out", whole)
    for kept in (0, 1, 17, 34):
        wanted = whole.read_bytes().splitlines(keepends=True)
        out.write_bytes(b"".join(wanted[:kept]) + wanted[kept][: cut or 0])
        done = run("moderate", "--input", source, "--out", out, "--json")
        assert done.code == first.code == 1, "what the first run saw counts"
        assert len(done.objects) == len(wanted) - kept, "what was judged is not judged again"
        assert out.read_bytes() == whole.read_bytes()
    again = run("moderate", "--input", source, "--out", out, "--json")
    assert (again.code, again.out, again.err) == (1, "", "")
    assert out.read_bytes() == whole.read_bytes()


def test_a_rerun_remembers_refusals(run, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    assert run("moderate", HARMFUL, "a cat", "--out", out).code == 3
    assert run("moderate", HARMFUL, "a cat", "--out", out).code == 3
    assert run("moderate", HARMFUL, "a cat", "--out", out, "--fail-on", "never").code == 0


@pytest.mark.parametrize(
    "content",
    [
        b"my notes\n",
        b"my notes",
        b'{"prompt": "a cat"}\n',
        b'{"prompt": "a cat"}',
        b'{"schema": 1, "path": "a.mp4", "verdict": "generated"}\n',
        b'{"schema": 1, "prompt": "a cat", "action": "burn"}\n',
        b"\xff\xd8\xff\xe0",
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(run, tmp_path: Path, content: bytes):
    out = tmp_path / "out.jsonl"
    out.write_bytes(content)
    done = run("moderate", "a cat", "--out", out, "--json")
    assert (done.code, done.error["type"]) == (2, "UsageError")
    assert "not a file of decisions" in done.error["message"]
    assert out.read_bytes() == content


def test_decisions_about_other_prompts_are_refused_and_kept(run, tmp_path: Path):
    out = tmp_path / "out.jsonl"
    run("moderate", "a cat", "a dog", "--out", out)
    kept = out.read_bytes()
    for prompts in (["a dog", "a cat"], ["a bird"]):
        assert "not a file of decisions" in run("moderate", *prompts, "--out", out, "--json").error["message"]
    assert "more decisions than" in run("moderate", "a cat", "--out", out, "--json").error["message"]
    assert out.read_bytes() == kept


def test_the_input_is_never_taken_for_results(run, tmp_path: Path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"prompt": "a cat"}\n{"prompt": "a dog"}\n')
    done = run("moderate", "--input", source, "--out", source, "--json")
    assert done.error["type"] == "UsageError"
    assert source.read_text().count("\n") == 2


def test_a_file_that_cannot_be_written_is_one_line(run, tmp_path: Path):
    for out in (tmp_path, tmp_path / "none" / "o.jsonl"):
        done = run("moderate", "a cat", "--out", out, "--json")
        assert (done.code, done.error["type"]) == (1, "OutputFailed")


def test_a_killed_run_is_finished_by_the_next(run, tmp_path: Path):
    """SIGKILL in the middle: the run waits for more prompts, and has written those that it has."""
    text = [f'{{"id": {i}, "prompt": "a cat walks over bridge number {i}"}}\n' for i in range(300)]
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert run("moderate", "--out", whole, stdin="".join(text)).code == 0
    killed = subprocess.Popen([*COMMAND, "--out", out, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert killed.stdin is not None
    assert killed.stdout is not None
    killed.stdin.write("".join(text[:150]).encode())
    killed.stdin.flush()
    seen = [json.loads(killed.stdout.readline())["id"] for _ in range(100)]
    killed.kill()
    killed.wait()
    killed.stdin.close()
    killed.stdout.close()
    assert seen == list(range(100))
    done_before = len([line for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")])
    assert 100 <= done_before <= 150
    done = run("moderate", "--out", out, "--json", stdin="".join(text))
    assert [one["id"] for one in done.objects] == list(range(done_before, 300))
    assert out.read_bytes() == whole.read_bytes()


def test_a_line_is_answered_before_the_next_is_sent(tmp_path: Path):
    """A program that waits for each answer gets it, whatever the size of a batch."""
    talking = subprocess.Popen([*COMMAND, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert talking.stdin is not None
    assert talking.stdout is not None
    for text in ("a cat", HARMFUL, "a dog"):
        talking.stdin.write(f"{text}\n".encode())
        talking.stdin.flush()
        assert json.loads(talking.stdout.readline())["prompt"] == text
    talking.stdin.close()
    assert talking.wait() == 3
    talking.stdout.close()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(tmp_path: Path, terminal: bool):
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("a cat\n" * 20)
    ours, theirs = os.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(theirs, (24, 80))
    done = subprocess.run(
        [*COMMAND, "--input", source, "--out", out], stderr=theirs, stdout=subprocess.PIPE, check=True
    )
    ready, _, _ = select.select([ours], [], [], 10 if terminal else 0)
    shown = os.read(ours, 1 << 16) if ready else b""
    os.close(theirs)
    os.close(ours)
    assert (b"moderating" in shown and b"/20" in shown) is terminal
    assert terminal or shown == b""
    assert done.stdout == b""


def test_own_terms_and_allowed_phrases_come_from_files(run, tmp_path: Path):
    terms, allow = tmp_path / "terms.txt", tmp_path / "allow.txt"
    terms.write_text("# ours\nip: captain sparkle\n")
    allow.write_text("sparkle toothpaste\n")
    done = run("moderate", "c4ptain sp4rkle sings", "--terms", terms, "--json")
    assert done.code == 3
    assert (done.objects[0]["reasons"][0]["rule"], done.objects[0]["policy"]) == ("custom", "standard+custom@1")
    porn = ["explicit porn", "--json", "--allow", allow]
    assert run("moderate", *porn).code == 3
    allow.write_text("explicit porn\n")
    assert run("moderate", *porn).code == 0
    terms.write_text("ip: fine\nfun: captain sparkle\n")
    bad = run("moderate", "a cat", "--terms", terms, "--json")
    assert (bad.code, bad.error["type"]) == (1, "BadSettings")
    assert f"{terms}, line 2" in bad.error["message"]


def test_decisions_are_logged_where_asked(run, tmp_path: Path, home: Path):
    log = tmp_path / "audit.jsonl"
    assert run("moderate", "a cat", HARMFUL, "--audit", log).code == 3
    assert [json.loads(line)["action"] for line in log.read_text().splitlines()] == ["allow", "refuse"]
    home.mkdir()
    (home / "settings.toml").write_text('[moderation]\naudit = "log.jsonl"\n')
    run("moderate", "a cat")
    assert json.loads((home / "log.jsonl").read_text())["source"] == "moderate"
    done = run("moderate", "a cat", "--audit", tmp_path, "--json")
    assert (done.code, done.error["type"]) == (1, "OutputFailed")


def test_skipped_lines_are_not_logged_again(run, tmp_path: Path):
    out, log = tmp_path / "out.jsonl", tmp_path / "audit.jsonl"
    run("moderate", "a cat", "--out", out, "--audit", log)
    run("moderate", "a cat", "a dog", "--out", out, "--audit", log)
    assert len(log.read_text().splitlines()) == 2


def test_a_model_that_cannot_be_had_is_one_line(run, tmp_path: Path, home: Path):
    for model, code, kind in (
        (str(tmp_path / "none"), 1, "ModelUnavailable"),
        ("openai:nowhere", 2, "UsageError"),
    ):
        done = run("moderate", "a cat", "--model", model, "--json")
        assert (done.code, done.error["type"]) == (code, kind)
    home.mkdir()
    (home / "settings.toml").write_text('[moderation]\nmodel = "openai:nowhere"\n')
    assert run("moderate", "a cat", "--json").error["type"] == "UsageError"
    assert run("moderate", "a cat", "--model", "embedded").code == 0


def test_a_run_loads_no_torch():
    code = (
        "import sys; sys.argv = ['countermark', 'moderate', 'a cat', '--fail-on', 'never']\n"
        "from countermark.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('torch', 'transformers', 'cv2', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
