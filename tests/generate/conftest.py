from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The builders of ``tiny.py``."""
    pytest.importorskip("diffusers", reason="the diffusers extra is not installed")
    from countermark.torchvision_shim import mend_torchvision

    mend_torchvision()
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wan(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny WanPipeline on disk."""
    return tiny.wan(tmp_path_factory.mktemp("wan"))
