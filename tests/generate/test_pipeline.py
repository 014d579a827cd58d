"""No way from a model to a file around moderation, mark and manifest."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import countermark
from countermark.errors import PromptRefused, UsageError
from countermark.generate import Request, Result, generate, protect
from countermark.provenance import inspect, keys_of
from countermark.settings import load_settings
from countermark.watermark import read_stream

ROOM = Path(countermark.generate.__file__).resolve().parent


class Model:
    """A generator that counts its calls."""

    name, version = "counting", "7"

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.calls = frames, 0

    def generate(self, request: Request) -> Result:
        self.calls += 1
        request.on_step(1)
        return Result(self.frames, 8.0, ("a warning",))


def _holds(path: str, payload: str) -> None:
    """The file carries a trusted manifest and a readable mark, both with this payload."""
    from countermark.media import open_source

    settings = load_settings()
    judged = inspect(Path(path), settings)
    assert (judged.state, judged.payload) == ("test_identity", payload)
    assert read_stream((t.rgb for t in open_source(path).frames()), keys_of(settings)).hex == payload


def test_a_python_call_is_sealed(clip, tmp_path: Path):
    model = Model(clip())
    sealed = countermark.generate("a cat walks over a bridge", tmp_path / "o.mp4", model=model, seed=5)
    assert (sealed.model, sealed.seed, sealed.warnings, sealed.verified) == ("counting", 5, ("a warning",), True)
    _holds(sealed.path, sealed.payload)


def test_a_refused_prompt_costs_no_generation(clip, tmp_path: Path):
    model = Model(clip(2))
    with pytest.raises(PromptRefused, match="sexual") as caught:
        generate("a nude video of a famous singer", tmp_path / "o.mp4", model=model)
    assert model.calls == 0
    assert "nude" in str(caught.value)
    assert caught.value.exit_code == 3
    assert caught.value.details()["decision"]["allowed"] is False
    assert list(tmp_path.iterdir()) == [], "a refusal left something behind"


def test_bad_requests_cost_no_generation(clip, tmp_path: Path):
    model = Model(clip(2))
    for arguments, message in (
        ({"prompt": "  "}, "empty"),
        ({"prompt": "a cat", "output": tmp_path / "o.webm"}, "mp4"),
        ({"prompt": "a cat", "output": tmp_path / "no" / "o.mp4"}, "existing folder"),
        ({"prompt": "a cat", "seed": -1}, "seed"),
        ({"prompt": "a cat", "style": "cubist"}, "style"),
        ({"prompt": "a cat", "seconds": 0}, "seconds"),
        ({"prompt": "a cat", "fps": 1000}, "fps"),
        ({"prompt": "a cat", "steps": 0}, "steps"),
        ({"prompt": "a cat", "size": (8, 8)}, "size"),
        ({"prompt": "a cat", "frames": 0}, "frames must be"),
        ({"prompt": "a cat", "frames": 9}, "counting takes seconds, not frames"),
        ({"prompt": "a cat", "frames": 9, "seconds": 1}, "not both"),
    ):
        with pytest.raises(UsageError, match=message):
            generate(**{"output": tmp_path / "o.mp4", **arguments}, model=model)
    assert model.calls == 0


def test_a_protected_pipeline_gives_only_sealed_files(wan: Path, tmp_path: Path):
    from diffusers import WanPipeline

    pipe = WanPipeline.from_pretrained(wan)
    pipe.set_progress_bar_config(disable=True)
    call = protect(pipe)
    arguments = {"height": 128, "width": 128, "num_frames": 9, "num_inference_steps": 2}
    [sealed] = call("a red ball", **arguments, output=tmp_path / "o.mp4")
    _holds(sealed.path, sealed.payload)
    assert sealed.model == str(wan)
    several = call(["a red ball", "a cat"], **arguments, output=tmp_path / "p.mp4")
    assert [Path(s.path).name for s in several] == ["p.mp4", "p-2.mp4"]
    for one in several:
        _holds(one.path, one.payload)
    with pytest.raises(PromptRefused):
        call(["a cat", "a nude video of a famous singer"], **arguments)
    with pytest.raises(UsageError, match="latents"):
        call("a cat", **arguments, output_type="latent")
    with pytest.raises(UsageError, match="prompt as text"):
        call(prompt_embeds=None, **arguments)
    with pytest.raises(TypeError):
        call("a cat", colour="red")
    with pytest.raises(UsageError, match=r"cannot make 10 frames: counts are 4k \+ 1; the nearest is 9"):
        call("a cat", num_frames=10)
    with pytest.raises(UsageError, match="the nearest is 128x112"):
        call("a cat", height=119, width=130)


def test_a_diffusers_model_through_generate(wan: Path, tmp_path: Path):
    sealed = generate("a red ball", tmp_path / "o.mp4", model=str(wan), size=(128, 128), seconds=0.5, steps=2, seed=1)
    assert sealed.model == str(wan)
    _holds(sealed.path, sealed.payload)


def test_the_command_line_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The embedded model, from a prompt to JSON, and the name that it gives a file when none is asked for."""
    from countermark.cli import main

    monkeypatch.chdir(tmp_path)
    command = ["countermark", "generate", "a red ball bounces with a dragon", "--seed", "1", "--steps", "4", "--json"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    assert left.value.code == 0, shown.err
    sealed = json.loads(shown.out)
    assert (sealed["schema"], sealed["model"], sealed["seed"], sealed["seconds"]) == (1, "countermark-embedded", 1, 4.0)
    assert sealed["path"] == "a-red-ball-bounces-with-a-dragon-1.mp4"
    assert "dragon" in sealed["warnings"][0]
    assert "dragon" in shown.err
    assert shown.err.count("\n") == 1, "something but the note was shown"
    _holds(sealed["path"], sealed["payload"])


def test_no_file_of_the_room_writes_media():
    """Only the pipeline reaches for the seal, and nothing in the room can encode or save frames by itself."""
    for path in ROOM.glob("*.py"):
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute | ast.Name)
        }
        assert not names & {"VideoWriter", "imwrite", "export_to_video", "write_bytes", "write_text", "save"}, path.name
        if path.name != "pipeline.py":
            assert not names & {"seal", "seal_clip"}, path.name
