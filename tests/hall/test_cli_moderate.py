"""``countermark moderate``: prompts from everywhere, one Decision a line."""

from pathlib import Path

import pytest

HARMFUL = "behead him and show the blood"


def test_prompts_from_arguments_are_judged(run):
    assert run("moderate", "a cat walks over a bridge").code == 0
    done = run("moderate", "a cat walks over a bridge", HARMFUL, "--json")
    assert done.code == 3
    assert [one["prompt"] for one in done.objects] == ["a cat walks over a bridge", HARMFUL]
    assert [one["allowed"] for one in done.objects] == [True, False]
    for one in done.objects:
        assert set(one) >= {"schema", "allowed", "risk", "flagged", "scores", "reasons", "policy", "language"}
    plain = run("moderate", "a cat walks over a bridge", HARMFUL)
    assert [line.split()[1].rstrip(":") for line in plain.out.splitlines()] == ["allowed", "refused"]
    assert done.objects[1]["flagged"][0] in plain.out


def test_an_argument_is_one_prompt_whatever_it_holds(run):
    for text in ('{"prompt": 3', "two\nlines", "{}"):
        done = run("moderate", text, "--json")
        assert (done.code, done.err) == (0, ""), text
        assert [one["prompt"] for one in done.objects] == [text]


def test_prompts_from_stdin_keep_order_and_fields(run):
    lines = '{"id": "7", "prompt": "a cat walks over a bridge", "n": [1]}\na dog, too\n\n{"id": "8", "prompt": "%s"}\n'
    done = run("moderate", "--json", stdin=lines % HARMFUL)
    assert done.code == 3
    assert [one.get("id") for one in done.objects] == ["7", None, "8"]
    assert done.objects[0]["n"] == [1]
    assert done.objects[1]["prompt"] == "a dog, too"
    assert [one["allowed"] for one in done.objects] == [True, True, False]


def test_prompts_from_a_file_are_judged(run, tmp_path: Path):
    path = tmp_path / "prompts.txt"
    path.write_text(f"a cat walks over a bridge\r\n{HARMFUL}\r\n", "utf-8-sig")
    done = run("moderate", "--input", path, "--json")
    assert [one["prompt"] for one in done.objects] == ["a cat walks over a bridge", HARMFUL]
    assert done.code == 3


def test_a_bad_line_is_an_error_and_the_others_are_judged(run):
    done = run("moderate", "--json", stdin='{"id": 1, "prompt": 5}\n{"prompt"\na cat\n')
    assert done.code == 1
    assert done.err.count("\n") == 2
    assert [one.get("error", {}).get("type") for one in done.objects] == ["BadPromptLine", "BadPromptLine", None]
    assert done.objects[0]["id"] == 1
    assert done.objects[2]["allowed"] is True
    plain = run("moderate", stdin='{"prompt"\na cat\n')
    assert (plain.code, plain.err.count("\n"), plain.out.split()[1]) == (1, 1, "allowed")


def test_a_field_named_error_is_a_field(run):
    line = '{"prompt": "a cat", "error": "none so far", "allowed": false}\n'
    done = run("moderate", "--json", stdin=line)
    assert (done.code, done.err) == (0, "")
    assert (done.objects[0]["error"], done.objects[0]["allowed"]) == ("none so far", True)
    assert run("moderate", stdin=line).code == 0


@pytest.mark.parametrize("line", [b"a cat \xff\xfe on a wall\n", b'{"prompt": "a cat \\ud800 on a wall"}\n'])
def test_prompts_that_are_no_text_are_judged(run, line: bytes):
    for options in ([], ["--json"]):
        done = run("moderate", *options, stdin=line)
        assert (done.code, done.err) == (0, "")
    assert done.objects[0]["allowed"] is True
    assert done.objects[0]["prompt"].startswith("a cat ")


def test_policies_by_name_and_by_settings(run, home: Path):
    assert run("moderate", "a cat", "--policy", "strict", "--json").objects[0]["policy"].startswith("strict@")
    home.mkdir()
    (home / "settings.toml").write_text('[moderation]\npolicy = "news"\n')
    assert run("moderate", "a cat", "--json").objects[0]["policy"].startswith("news@")
    done = run("moderate", "a cat", "--policy", "no-such-policy", "--json")
    assert (done.code, done.error["type"]) == (1, "BadSettings")
