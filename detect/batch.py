"""Many files: in order, on several processes, resumable, and no bad file ends the run."""

from __future__ import annotations

import json
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from countermark.detect.scan import scan
from countermark.errors import BadMedia, CountermarkError, UsageError
from countermark.media import EXTENSIONS
from countermark.report import SCHEMA
from countermark.settings import Settings, load_settings

__all__ = ["done_paths", "expand", "scan_many"]


def expand(paths: Iterable[str]) -> list[Path]:
    """Files of the arguments, in order: folders give their media files sorted, patterns with ``*`` what they match.

    Files that are named stay even if they do not exist, so that each gets its own error.
    """
    found: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        elif any(mark in text for mark in "*?[") and not path.exists():
            base = Path(path.anchor) if path.is_absolute() else Path()
            found += sorted(p for p in base.glob(str(path.relative_to(path.anchor))) if p.is_file())
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def done_paths(out: Path) -> set[str]:
    """Paths that an earlier run has already reported to ``out``; a torn last line is cut off the file."""
    if not out.exists():
        return set()
    done, good = set(), 0
    with out.open("rb") as file:
        for line in file:
            try:
                done.add(str(json.loads(line)["path"]))
            except (ValueError, KeyError, TypeError):
                if not line.endswith(b"\n"):
                    break
                raise UsageError(f"{out} is not a file of reports") from None
            good += len(line)
    if good < out.stat().st_size:
        with out.open("r+b") as file:
            file.truncate(good)
    return done


def scan_many(paths: Iterable[Path], *, workers: int = 1, settings: Settings | None = None) -> Iterator[dict[str, Any]]:
    """JSON objects in the order of ``paths``: a Report, or ``{"schema", "path", "error"}`` for a file that failed."""
    settings = settings or load_settings()
    if workers < 1:
        raise UsageError("workers must be at least 1")
    if workers == 1:
        for path in paths:
            yield _one(path, settings)
        return
    yield from _parallel(deque(paths), workers, settings)


def _parallel(waiting: deque[Path], workers: int, settings: Settings) -> Iterator[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")  # a forked child would share the C2PA library's threads and locks
    running: deque[tuple[Path, Future[dict[str, Any]]]] = deque()
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                path = waiting.popleft()
                running.append((path, pool.submit(_one, path, settings)))
            path, future = running.popleft()
            try:
                yield future.result()
            except BrokenProcessPool:  # some file killed a worker: this one is tried alone, the others once more
                pool.shutdown(wait=False, cancel_futures=True)
                waiting.extendleft(other for other, _ in reversed(running))
                running.clear()
                yield _alone(path, settings)
                pool = ProcessPoolExecutor(workers, mp_context=context)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(path: Path, settings: Settings) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_one, path, settings).result()
        except BrokenProcessPool:
            return _failed(path, BadMedia(f"{path.name}: reading it killed the process"))


def _one(path: Path, settings: Settings) -> dict[str, Any]:
    try:
        return scan(path, settings=settings).to_json()
    except CountermarkError as error:
        return _failed(path, error)
    except MemoryError:
        return _failed(path, BadMedia(f"{path.name}: it takes more memory than there is"))


def _failed(path: Path, error: CountermarkError) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "path": str(path),
        "error": {"type": type(error).__name__, "message": str(error), **error.details()},
    }
