"""Generation: the embedded model, any diffusers pipeline, and the one path from a prompt to a sealed file.

The room can be called, ``countermark.generate("a red ball bounces")``, as its function :func:`generate`.
"""

import sys
from types import ModuleType
from typing import Any

from countermark.generate.batch import Batch, action_of
from countermark.generate.models import Request, Result, VideoModel, load_model
from countermark.generate.pipeline import generate, protect

__all__ = ["Batch", "Request", "Result", "VideoModel", "action_of", "generate", "load_model", "protect"]


class _Callable(ModuleType):
    """The room as a function, since ``countermark.generate`` names both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return generate(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
