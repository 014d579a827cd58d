"""``bench`` and ``train``: the measurements and the trainers, each with options of its own."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from countermark.errors import UsageError

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def bench(context: typer.Context, name: Annotated[str, typer.Argument(help="Which benchmark.")]) -> None:
    """Run a benchmark and print its table. Further options are the benchmark's own (try --help after its name)."""
    _run_module("benchmarks", name, context.args)


def train(context: typer.Context, name: Annotated[str, typer.Argument(help="Which trainer.")]) -> None:
    """Train a model's weights. Further options are the trainer's own (try --help after its name)."""
    _run_module("training", name, context.args)


def _run_module(room: str, name: str, arguments: list[str]) -> None:
    import importlib
    import pkgutil

    package = importlib.import_module(f"countermark.{room}")
    known = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    if name not in known:
        raise UsageError(f"there is no {name!r} in {room}: choose {', '.join(known)}")
    sys.exit(importlib.import_module(f"countermark.{room}.{name}").main(arguments))
