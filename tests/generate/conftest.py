from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The builders of ``tiny``."""
    pytest.importorskip("diffusers", reason="the diffusers extra is not installed")
    from countermark.torchvision_shim import mend_torchvision

    mend_torchvision()
    folder = Path(__file__).with_name("tiny")
    spec = importlib.util.spec_from_file_location(
        "tiny_pipelines", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_pipelines"] = module  # for the imports inside it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def wan(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny WanPipeline on disk."""
    return tiny.save("WanPipeline", tmp_path_factory.mktemp("wan"))
