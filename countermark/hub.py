"""What every adapter to the libraries of Hugging Face needs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["best_device", "first_line", "quiet"]


def first_line(error: Exception) -> str:
    """What a library's error says, as the end of one line."""
    text = str(error).strip()
    return text.splitlines()[0][:160] if text else type(error).__name__


def best_device() -> str:
    """cuda or mps where there is one, else cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def quiet(*libraries: str) -> Iterator[None]:
    """Keeps the bars and advice of diffusers or transformers off the terminal: progress is ours to show."""
    for name in libraries:
        import_module(f"{name}.utils.logging").disable_progress_bar()
    loggers = [logging.getLogger(name) for name in libraries]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
