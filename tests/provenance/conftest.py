"""What sealing may leave behind."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def leftovers() -> Callable[[Path], list[str]]:
    """The names of temporary files that a folder still holds."""
    return lambda folder: sorted(path.name for path in folder.iterdir() if path.name.startswith(".countermark"))
