from pathlib import Path

import numpy as np
import torch

from countermark.generate.text import TextEncoder, Vocabulary
from countermark.training._denoising import noise_levels
from countermark.training._drawn import Clips
from countermark.training._muon import Muon, Optimisers, orthogonal
from countermark.training.generator import main


def test_orthogonal_matrices_have_singular_values_of_about_one():
    torch.manual_seed(0)
    for shape in ((48, 16), (16, 48), (24, 24)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.4
        assert values.max() < 1.4


def test_muon_and_adamw_solve_a_regression_together():
    torch.manual_seed(0)
    model, truth = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8).requires_grad_(False)
    optimisers = Optimisers(model, (0.05, 0.05), matrices=[model.weight])
    assert isinstance(optimisers.all[0], Muon)
    losses = []
    for step in range(150):
        x = torch.randn(64, 8)
        loss = (model(x) - truth(x)).square().mean()
        loss.backward()
        optimisers.step(1 - step / 150)
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]
    assert model.weight.grad is None


def test_noise_levels_are_spread_evenly_and_lean_towards_noise():
    levels = noise_levels(64, torch.Generator().manual_seed(0))
    assert ((levels > 0) & (levels < 1)).all()
    again = noise_levels(64, torch.Generator().manual_seed(1))
    assert abs(levels.mean() - again.mean()) < 0.01, "a share of the distribution each"
    assert levels.mean() > 0.5


def test_clips_come_twice_and_tell_where_things_are():
    clips = Clips(0)
    first, second = clips.batch(8), clips.batch(8)
    assert sum(any(one is other for other in first) for one in second) == 4
    for drawn in first:
        assert drawn.pixels.shape == (32, 16, 16, 3)
        assert drawn.where.any((0, 1, 2))[0], "the first thing is somewhere"
        assert drawn.given.sum() in (0, 1, 16)


def test_two_processes_train_and_go_on_from_their_checkpoint(tmp_path: Path):
    vocabulary = Vocabulary()
    torch.save({"model": TextEncoder(len(vocabulary)).state_dict(), "words": vocabulary.words}, tmp_path / "text.pt")
    steps = []
    for workers in ("2", "1"):
        options = ["--minutes", "0.001", "--batch", "4", "--no-compile", "--workers", workers]
        assert main(["--stage", "video", "--runs", str(tmp_path), *options]) == 0
        saved = torch.load(tmp_path / "video.pt", weights_only=True)
        steps.append(saved["step"])
        assert saved["seen"] == 4 * saved["step"]
        assert np.isfinite([float(t.sum()) for t in saved["whole"].values()]).all()
    assert 1 <= steps[0] < steps[1]
    assert list(tmp_path.glob("sheet_*.png"))


def test_training_goes_on_from_the_weights_that_ship(tmp_path: Path):
    assert main(["--stage", "import", "--runs", str(tmp_path)]) == 0
    start = torch.load(tmp_path / "video.pt", weights_only=True)
    options = ["--minutes", "0.001", "--batch", "2", "--no-compile", "--workers", "1"]
    assert main(["--stage", "video", "--runs", str(tmp_path), *options]) == 0
    saved = torch.load(tmp_path / "video.pt", weights_only=True)
    assert saved["seen"] == start["seen"] + 2 * saved["step"]
    name = "blocks.0.qkv.weight"
    apart = (saved["average"][name] - start["average"][name]).norm() / start["average"][name].norm()
    assert 0 < apart < 0.02, "a step or two away"


def test_the_decoder_learns_from_what_the_transformer_makes(tmp_path: Path):
    assert main(["--stage", "import", "--runs", str(tmp_path)]) == 0
    start = torch.load(tmp_path / "upscale.pt", weights_only=True)["average"]
    assert main(["--stage", "upscale", "--runs", str(tmp_path), "--minutes", "0.02", "--workers", "1"]) == 0
    after = torch.load(tmp_path / "upscale.pt", weights_only=True)["average"]
    apart = (after["first.weight"] - start["first.weight"]).norm() / start["first.weight"].norm()
    assert 0 < apart < 0.5
