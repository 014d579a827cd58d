"""Batches on the command line: objects, exit codes and reruns."""

from pathlib import Path

import pytest

from countermark.generate import Request, Result


@pytest.fixture
def calls(clip, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """In the place of all models one that gives a clip; filled with how it was loaded."""
    loaded: list[dict[str, object]] = []

    class Model:
        name, version = "still", None

        def generate(self, request: Request) -> Result:
            request.on_step(1)
            return Result(clip(4), 8.0)

    def load(name: str, **place: object) -> Model:
        loaded.append({"name": name, **place})
        return Model()

    monkeypatch.setattr("countermark.generate.load_model", load)
    return loaded


def test_a_batch_prints_one_sealed_a_line_and_a_rerun_only_what_is_new(run, calls, tmp_path: Path):
    prompts, folder = tmp_path / "prompts.txt", tmp_path / "videos"
    prompts.write_text('a red ball\n{"prompt": "a cat", "output": "cat.mp4", "id": 7}\n')
    arguments = ["generate", "--prompts", prompts, "-o", folder, "--json", "--model", "x", "--dtype", "float16"]
    done = run(*arguments)
    assert (done.code, done.err) == (0, "")
    assert [one["number"] for one in done.objects] == [1, 2]
    assert done.objects[1]["id"] == 7
    for one in done.objects:
        assert set(one) >= {"schema", "path", "manifest_id", "payload", "model", "seed", "seconds", "verified"}
    assert calls == [{"name": "x", "device": None, "dtype": "float16", "offload": None}], "loaded once"
    with prompts.open("a") as file:
        file.write("a dog\n")
    again = run(*arguments)
    assert (again.code, [one["prompt"] for one in again.objects]) == (0, ["a dog"])
    assert len(calls) == 2
    assert (run(*arguments).out, len(calls)) == ("", 2)
    plain = run("generate", "--prompts", prompts, "-o", tmp_path / "other", "--seed", "3")
    assert [line for line in plain.out.splitlines() if not line.startswith(" ")] == [
        f"{tmp_path / 'other' / name}: 0.5 s by still, seed {seed}"
        for seed, name in ((3, "0001-a-red-ball-3.mp4"), (4, "cat.mp4"), (5, "0003-a-dog-5.mp4"))
    ]


def test_refusals_and_failures_have_their_lines_and_exit_codes(run, calls, tmp_path: Path):
    prompts, folder = tmp_path / "prompts.txt", tmp_path / "videos"
    prompts.write_text("a nude video of a famous singer\na cat\n")
    arguments = ["generate", "--prompts", prompts, "-o", folder, "--json"]
    done = run(*arguments)
    assert done.code == 3
    assert [one.get("error", {}).get("type") for one in done.objects] == ["PromptRefused", None]
    assert done.err.startswith("countermark: prompt 1: refused: ")
    assert (run(*arguments).code, run(*arguments, "--fail-on", "never").code) == (3, 0), "a rerun forgot"
    prompts.write_text(prompts.read_text() + '{"prompt": "a dog", "output": "/tmp/dog.mp4"}\n')
    for _ in range(2):  # what failed is tried again
        failed = run(*arguments, "--fail-on", "never")
        assert (failed.code, [one["number"] for one in failed.objects]) == (1, [3])
        assert failed.err.startswith("countermark: prompt 3: output must be the name")
    (tmp_path / "empty.txt").write_text("\n")
    nothing = run("generate", "--prompts", tmp_path / "empty.txt", "-o", tmp_path / "none", "--json")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")


def test_an_interrupt_is_one_line_and_130(run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("countermark.generate.generate", interrupted)
    done = run("generate", "a cat")
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted")
