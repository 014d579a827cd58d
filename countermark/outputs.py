"""Files of JSON lines that survive a kill, files that appear only whole, and what goes wrong on a disk.

Each line is appended with one write, so a kill tears at most the last one. :func:`finished` cuts that off and gives
back the others, so that a rerun can go on after them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from countermark.errors import OutputFailed, UsageError

__all__ = ["LineFile", "finished", "output_error", "write_whole"]

OPENING = b'{"schema"'  # how every line begins that we write


def output_error(path: Path, error: OSError) -> OutputFailed:
    """The one-line error of a failed write."""
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EFBIG: "the file would be too large",
        errno.EDQUOT: "the quota is used up",
        errno.EACCES: "no permission to write there",
        errno.EPERM: "no permission to write there",
        errno.EROFS: "the folder is read-only",
        errno.ENOENT: "its folder does not exist",
        errno.ENOTDIR: "its folder is not a folder",
    }.get(error.errno or 0, error.strerror or type(error).__name__)
    return OutputFailed(f"cannot write {path}: {reason}")


def write_whole(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) beside ``path`` and renames it into place: what is there stays until it is replaced
    whole. Raises OutputFailed, and then leaves nothing behind.
    """
    beside = path.with_name(f".countermark-{os.getpid()}-{secrets.token_hex(6)}.text{path.suffix.lower()}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise output_error(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


class LineFile:
    """A file that lines are added to; made with ``mode`` when it is absent.

    Several threads and processes may add to one file. Use as a context manager, or close it. Raises OutputFailed, at
    once when the file cannot be opened.
    """

    def __init__(self, path: Path, mode: int = 0o666) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)
        except OSError as error:
            raise output_error(path, error) from None

    def write(self, line: str) -> None:
        """Adds one line; ``line`` has no line break."""
        data = f"{line}\n".encode()
        try:
            if os.write(self._handle, data) < len(data):
                raise OSError(errno.ENOSPC, "")
        except OSError as error:
            raise output_error(self.path, error) from None

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)

    def __enter__(self) -> LineFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def finished(out: Path, what: str) -> Iterator[dict[str, Any]]:
    """The objects of an earlier run's file, none when there is none; after the last, a torn line is cut off.

    Raises UsageError where the file does not hold ``what`` (such as "reports"), and then leaves it as it is.
    """
    good = 0
    try:
        with out.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n") and line[: len(OPENING)] == OPENING[: len(line)]:
                    break
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError
                yield entry
                good += len(line)
            file.truncate(good)
    except FileNotFoundError:
        return
    except OSError as error:
        raise output_error(out, error) from None
    except (ValueError, RecursionError):
        raise UsageError(f"{out} is not a file of {what}") from None
