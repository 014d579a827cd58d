"""Lets a torchvision that was built for CUDA be imported beside a CPU build of torch.

Registries hold one build of torchvision a release; without CUDA its operators do not load, and its import then fails
on ``torchvision::nms``. Declaring the two operators that the import looks at mends it. Nothing here calls them.
"""

from __future__ import annotations

__all__ = ["mend_torchvision"]


def mend_torchvision() -> None:
    """Makes ``import torchvision`` work where only its missing operators stop it. Harmless to call twice."""
    try:
        import torchvision  # noqa: F401 - importing is the test
    except ModuleNotFoundError:
        return
    except RuntimeError:
        import sys

        import torch

        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        mend_torchvision.library = library  # type: ignore[attr-defined] - operators live as long as their library
        for name in [one for one in sys.modules if one.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision  # noqa: F401
