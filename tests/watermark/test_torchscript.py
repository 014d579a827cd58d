"""A TorchScript file as a codec, on tiny scripted modules: Video Seal's convention, and the simple one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from countermark.errors import ModelUnavailable
from countermark.watermark import Key, load_codec

KEY = Key(bytes(range(32)))
COLUMNS = 8  # bits are 8 x 8 cells of 32 x 32 pixels


class VideoSeal(nn.Module):
    """Raises or lowers a cell's mean of blue to an odd or even multiple of a step; 64 bits, and a mask's column."""

    def cells(self, imgs: Tensor) -> Tensor:
        t, h, w = imgs.shape[0], imgs.shape[2] // 8, imgs.shape[3] // 8
        return imgs[:, 2].reshape(t, 8, h, 8, w).permute(0, 1, 3, 2, 4).reshape(t, 64, h * w).mean(2)

    @torch.jit.export
    def embed(self, imgs: Tensor, msgs: Tensor, is_video: bool = True) -> Tensor:
        assert is_video, "clips are videos"
        means = self.cells(imgs) * 20.0
        wanted = (torch.round((means - msgs) / 2) * 2 + msgs - means) / 20.0
        t, h, w = imgs.shape[0], imgs.shape[2] // 8, imgs.shape[3] // 8
        change = wanted.reshape(t, 8, 1, 8, 1).expand(t, 8, h, 8, w).reshape(t, 8 * h, 8 * w)
        marked = imgs.clone()
        marked[:, 2] += change
        return marked

    @torch.jit.export
    def detect(self, imgs: Tensor, is_video: bool = True) -> Tensor:
        assert is_video, "clips are videos"
        bits = -torch.cos(self.cells(imgs) * 20.0 * 3.14159265)
        return torch.cat([torch.ones(imgs.shape[0], 1), bits], 1)


class Dictionaries(VideoSeal):
    """The same, with what Video Seal's Python class gives."""

    @torch.jit.export
    def embed(self, imgs: Tensor, msgs: Tensor, is_video: bool = True) -> dict[str, Tensor]:
        means = self.cells(imgs) * 20.0
        wanted = (torch.round((means - msgs) / 2) * 2 + msgs - means) / 20.0
        t, h, w = imgs.shape[0], imgs.shape[2] // 8, imgs.shape[3] // 8
        marked = imgs.clone()
        marked[:, 2] += wanted.reshape(t, 8, 1, 8, 1).expand(t, 8, h, 8, w).reshape(t, 8 * h, 8 * w)
        return {"imgs_w": marked, "msgs": msgs}

    @torch.jit.export
    def detect(self, imgs: Tensor, is_video: bool = True) -> dict[str, Tensor]:
        bits = -torch.cos(self.cells(imgs) * 20.0 * 3.14159265)
        return {"preds": torch.cat([torch.ones(imgs.shape[0], 1), bits], 1)}


class Simple(VideoSeal):
    """The simple convention: no flag, no mask, and ``nbits`` said."""

    def __init__(self, nbits: int = 64) -> None:
        super().__init__()
        self.nbits = nbits

    @torch.jit.export
    def embed(self, imgs: Tensor, msgs: Tensor) -> Tensor:
        means = self.cells(imgs) * 20.0
        wanted = (torch.round((means - msgs) / 2) * 2 + msgs - means) / 20.0
        t, h, w = imgs.shape[0], imgs.shape[2] // 8, imgs.shape[3] // 8
        marked = imgs.clone()
        marked[:, 2] += wanted.reshape(t, 8, 1, 8, 1).expand(t, 8, h, 8, w).reshape(t, 8 * h, 8 * w)
        return marked

    @torch.jit.export
    def detect(self, imgs: Tensor) -> Tensor:
        return -torch.cos(self.cells(imgs) * 20.0 * 3.14159265)


class Mute(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def _file(module: nn.Module, folder: Path) -> str:
    path = folder / "codec.pt"
    torch.jit.script(module).save(str(path))
    return str(path)


@pytest.mark.parametrize("module", [VideoSeal(), Dictionaries(), Simple()], ids=lambda m: type(m).__name__)
def test_a_file_marks_and_reads(module: nn.Module, tmp_path: Path, clip):
    codec = load_codec(_file(module, tmp_path), KEY)
    assert (codec.name, codec.bits) == ("codec.pt", 24)
    frames = clip(18)  # more than go through a module at once
    marked = codec.embed(frames, 0xABCDEF)
    assert (marked.shape, marked.dtype) == (frames.shape, np.uint8)
    reading = codec.read(marked)
    assert (reading.detected, reading.payload, reading.p_value) == (True, 0xABCDEF, 2.0**-40)
    assert not codec.read(frames).detected
    assert not load_codec(_file(module, tmp_path), Key(bytes(32))).read(marked).detected


def test_files_that_are_no_codecs_are_one_line(tmp_path: Path):
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ModelUnavailable, match="no TorchScript file"):
        load_codec(str(tmp_path / "text.pt"), KEY)
    with pytest.raises(ModelUnavailable, match="embed and detect"):
        load_codec(_file(Mute(), tmp_path), KEY)
    with pytest.raises(ModelUnavailable, match="carries 48 bits, but reads 64"):
        load_codec(_file(Simple(48), tmp_path), KEY)


def test_a_module_that_fails_is_one_line(tmp_path: Path):
    codec = load_codec(_file(VideoSeal(), tmp_path), KEY)
    with pytest.raises(ModelUnavailable, match=r"codec\.pt: embed failed"):
        codec.embed(np.zeros((1, 65, 65, 3), np.uint8), 1)
