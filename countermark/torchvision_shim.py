"""Lets a torchvision that was built for CUDA be imported beside a CPU build of torch.

Registries hold one build of torchvision a release; without CUDA its operators do not load, and its import then fails
on ``torchvision::nms``. Declaring the two operators that the import looks at mends it. Nothing here calls them.
"""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["mend_torchvision"]

_KEPT: list[object] = []  # operators live as long as the library object that declared them


def mend_torchvision() -> None:
    """Makes ``import torchvision`` work where only its missing operators stop it. Harmless to call twice."""
    try:
        import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError:
        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch.library has no types
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]  # torch.library has no types
        _KEPT.append(library)
        for name in [one for one in sys.modules if one.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import_module("torchvision")
