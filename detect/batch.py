"""Many files: in order, on several processes, resumable, and no bad file ends the run."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from countermark.detect.html import check_target, render
from countermark.detect.scan import examine
from countermark.errors import BadMedia, CountermarkError, UsageError
from countermark.media import EXTENSIONS
from countermark.outputs import finished, write_whole
from countermark.report import SCHEMA
from countermark.settings import Settings, load_settings

__all__ = ["done_paths", "expand", "scan_many"]

REPORTS = "reports"  # what scan's files hold


def expand(paths: Iterable[str]) -> list[Path]:
    """Files of the arguments, in order: folders give their media files sorted, patterns with ``*`` what they match.

    Files that are named stay even if they do not exist, so that each gets its own error.
    """
    return list(dict.fromkeys(file for text in paths for file in _files_of(text)))


def _files_of(text: str) -> list[Path]:
    path = Path(text)
    try:
        if path.is_dir():
            return sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        if any(mark in text for mark in "*?[") and not path.exists():
            base = Path(path.anchor) if path.is_absolute() else Path()
            return sorted(p for p in base.glob(str(path.relative_to(path.anchor))) if p.is_file())
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    except OSError:  # such as a name that is too long: opening the file will say so
        pass
    return [path]


def done_paths(out: Path) -> dict[str, str]:
    """What an earlier run has reported to ``out``: verdicts by path, "" for a failure. A torn last line is cut off."""
    done = {}
    for report in finished(out, REPORTS):
        if "path" not in report:
            raise UsageError(f"{out} is not a file of {REPORTS}")
        done[str(report["path"])] = str(report.get("verdict", ""))
    return done


def scan_many(
    paths: Iterable[Path],
    *,
    workers: int = 1,
    settings: Settings | None = None,
    fast: bool = False,
    html: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """JSON objects in the order of ``paths``: a Report, or ``{"schema", "path", "error"}`` for a file that failed.

    ``fast``: see :func:`countermark.detect.scan`. ``html``: where the report of the one file is written, too. Raises
    UsageError, and OutputFailed where that cannot be written.
    """
    one = partial(_one, settings=settings or load_settings(), fast=fast, html=html)
    if workers < 1:
        raise UsageError("workers must be at least 1")
    if workers == 1:
        for path in paths:
            yield one(path)
        return
    yield from _parallel(deque(paths), workers, one)


def _parallel(waiting: deque[Path], workers: int, one: Callable[[Path], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")  # a forked child would share the C2PA library's threads and locks
    running: deque[tuple[Path, Future[dict[str, Any]]]] = deque()
    share = partial(ProcessPoolExecutor, workers, mp_context=context, initializer=_share, initargs=(workers,))
    pool = share()
    try:
        while waiting or running:
            try:
                while waiting and len(running) < 2 * workers:
                    running.append((waiting[0], pool.submit(one, waiting[0])))
                    waiting.popleft()
                result = running[0][1].result()
                running.popleft()
            except BrokenProcessPool:  # some file killed a worker: the next one is tried alone, the others once more
                pool.shutdown(wait=False, cancel_futures=True)
                waiting.extendleft(path for path, _ in reversed(running))
                running.clear()
                result = _alone(waiting.popleft(), one)
                pool = share()
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _share(workers: int) -> None:
    """Gives a worker its share of the cores: libraries take all of them, and as many workers stand in each other's way.

    Torch is not loaded yet in a fresh process, and reads the variable when it is.
    """
    import cv2

    each = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(each))
    cv2.setNumThreads(each)


def _alone(path: Path, one: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(one, path).result()
        except BrokenProcessPool:
            return _failed(path, BadMedia(f"{path.name}: reading it killed the process"))


def _one(path: Path, settings: Settings, fast: bool, html: Path | None) -> dict[str, Any]:
    if html is not None:
        check_target(path, html)
    try:
        found = examine(path, settings=settings, fast=fast, pictures=html is not None)
        page = render(found) if html is not None else ""
    except CountermarkError as error:
        return _failed(path, error)
    except MemoryError:
        return _failed(path, BadMedia(f"{path.name}: it takes more memory than there is"))
    except Exception as error:  # a file that nobody has thought of must not end the run
        return _failed(path, BadMedia(f"{path.name}: judging it failed ({type(error).__name__}: {error})"))
    if html is not None:
        write_whole(html, page)
    return found.report.to_json()


def _failed(path: Path, error: CountermarkError) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "path": str(path),
        "error": {"type": type(error).__name__, "message": str(error), **error.details()},
    }
