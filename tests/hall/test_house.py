"""The house's rules: packages against the tree, imports that only look upwards, a quick start."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import countermark
from countermark import errors

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ["moderation", "watermark", "provenance", "generate", "detect", "service"]
EXTRAS = ["benchmarks", "training"]
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="the tests lie outside the repository")


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_packages_match_the_tree():
    table = _project()["tool"]["setuptools"]
    folders = {
        "countermark" + "".join(f".{part}" for part in path.parent.relative_to(ROOT).parts)
        for room in ROOMS + EXTRAS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert set(table["packages"]) == folders | {"countermark", "countermark.cli"}
    for room in ROOMS + EXTRAS:
        assert table["package-dir"][f"countermark.{room}"] == room
        assert (ROOT / "countermark" / room).is_symlink()
        assert (ROOT / "countermark" / room).resolve() == ROOT / room


def test_every_shipped_data_file_is_declared():
    declared = _project()["tool"]["setuptools"]["package-data"]
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                globs = declared.get(f"countermark.{room}", [])
                assert any(path.relative_to(ROOT / room).match(glob) for glob in globs), path


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", ROOMS[:-1])
def test_rooms_import_only_upwards(room: str):
    below = ROOMS[ROOMS.index(room) + 1 :] + EXTRAS + ["cli"]
    for path in (ROOT / room).rglob("*.py"):
        for name in _imports(path):
            parts = name.split(".")
            assert not (parts[0] == "countermark" and len(parts) > 1 and parts[1] in below), (path.name, name)


def test_the_hall_imports_no_room():
    for path in (ROOT / "countermark").glob("*.py"):
        if path.name == "__init__.py":  # the package's public names, of every room
            continue
        for name in _imports(path):
            parts = name.split(".")
            assert not (parts[0] == "countermark" and len(parts) > 1 and parts[1] in ROOMS + EXTRAS), (path.name, name)


def _modules_after(code: str) -> set[str]:
    script = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(out.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import countermark.cli",
        "import countermark; countermark.moderate('a cat walks')",
        "import countermark.detect, countermark.watermark",
    ],
)
def test_light_imports(code: str):
    loaded = _modules_after(code)
    assert not loaded & {"torch", "diffusers", "transformers", "timm", "sklearn", "ray"}


def test_help_needs_no_numpy_and_no_room():
    loaded = _modules_after("import countermark.cli as c; c.app(['--help'], standalone_mode=False)")
    assert not loaded & {"torch", "numpy", "cv2", "av", "sqlalchemy", "c2pa"}
    assert not any(name.startswith(f"countermark.{room}") for room in ROOMS for name in loaded)


def test_public_names_exist():
    for name in countermark.__all__:
        assert getattr(countermark, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = countermark.nothing
    for room in ROOMS[:-1]:
        module = __import__(f"countermark.{room}", fromlist=["x"])
        for name in module.__all__:
            assert hasattr(module, name), (room, name)


def test_every_error_is_in_the_tree():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.CountermarkError)
        assert name in (errors.__doc__ or "")
        assert kind.exit_code in (1, 2, 3)
    assert str(errors.BadMedia("two\nlines")) == "two lines"
