"""Policies: which score of which category has which consequence.

A policy is a TOML file with ``name``, ``version``, an optional ``extends`` (a ready policy; ``standard`` when absent)
and one table ``[categories.NAME]`` for each category that it sets: ``threshold`` (0 to 1), ``severity`` (1 to 5) and
``action`` (``allow``, ``review`` or ``refuse``), each optional. The ready ones set everything and extend nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from countermark.errors import BadSettings
from countermark.moderation.categories import ACTIONS, CATEGORIES

__all__ = ["FLOORS", "POLICIES", "CategoryPolicy", "Policy", "load_policy"]

POLICIES: Final = ("strict", "standard", "creative", "eu", "news")
DEFAULT: Final = "standard"
# The loosest threshold that a policy may set for these; their action is always "refuse".
FLOORS: Final[Mapping[str, float]] = {"sexual_minors": 0.5, "nonconsensual_intimate": 0.7}

_TOP: Final = {"name", "version", "extends", "categories"}
_KEYS: Final = {"threshold", "severity", "action"}
_LARGEST: Final = 1 << 20  # bytes of a policy file


@dataclass(frozen=True)
class CategoryPolicy:
    """A category is flagged from ``threshold`` on; ``severity`` is 1 (a nuisance) to 5 (grave)."""

    threshold: float
    severity: int
    action: str


@dataclass(frozen=True)
class Policy:
    """A complete policy: every category is in ``categories``."""

    name: str
    version: int
    categories: Mapping[str, CategoryPolicy]

    @property
    def label(self) -> str:
        """``name@version``, as decisions and logs carry it."""
        return f"{self.name}@{self.version}"


def load_policy(name_or_path: str | Path) -> Policy:
    """A ready policy by name, or one from a TOML file.

    Raises :class:`countermark.errors.BadSettings` for a name or file that does not exist, TOML that cannot be read,
    unknown keys and categories, values out of range, and policies looser than ``FLOORS``.
    """
    if str(name_or_path) in POLICIES:
        return _ready(str(name_or_path))
    path = Path(name_or_path)
    try:
        if not path.is_file():
            known = ", ".join(POLICIES)
            raise BadSettings(f"no policy {str(name_or_path)!r}: the ready ones are {known}; others are TOML files")
        if path.stat().st_size > _LARGEST:
            raise BadSettings(f"the policy {path} is larger than {_LARGEST} bytes")
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise BadSettings(f"the policy {str(name_or_path)!r} cannot be read: {error}") from error
    return _parse(text, str(path), DEFAULT)


@cache
def _ready(name: str) -> Policy:
    text = (files("countermark.moderation") / "policies" / f"{name}.toml").read_text("utf-8")
    return _parse(text, name, "")


def _parse(text: str, where: str, base: str) -> Policy:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"the policy {where} is not valid TOML: {error}") from error
    _no_others(table, _TOP, f"the policy {where}")
    name, version = table.get("name"), table.get("version")
    if not isinstance(name, str) or not name.strip():
        raise BadSettings(f"the policy {where} needs a name")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadSettings(f"the policy {where} needs a version, a whole number from 1")
    extends = table.get("extends", base)
    if extends and extends not in POLICIES:
        raise BadSettings(f"the policy {where} extends {extends!r}, which is none of {', '.join(POLICIES)}")
    categories = dict(_ready(extends).categories) if extends else {}
    given = table.get("categories", {})
    if not isinstance(given, dict):
        raise BadSettings(f"the policy {where}: categories must be tables")
    _no_others(given, set(CATEGORIES), f"the policy {where}, categories")
    for category, entry in given.items():
        categories[category] = _category(entry, categories.get(category), f"the policy {where}, {category}")
    missing = [category for category in CATEGORIES if category not in categories]
    if missing:
        raise BadSettings(f"the policy {where} lacks {', '.join(missing)}")
    _check_floors(categories, where)
    return Policy(name, version, {category: categories[category] for category in CATEGORIES})


def _category(entry: Any, base: CategoryPolicy | None, where: str) -> CategoryPolicy:
    if not isinstance(entry, dict):
        raise BadSettings(f"{where} must be a table")
    _no_others(entry, _KEYS, where)
    threshold = entry.get("threshold", base.threshold if base else None)
    severity = entry.get("severity", base.severity if base else None)
    action = entry.get("action", base.action if base else None)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise BadSettings(f"{where}: threshold must be a number from 0 to 1")
    if isinstance(severity, bool) or not isinstance(severity, int) or not 1 <= severity <= 5:
        raise BadSettings(f"{where}: severity must be a whole number from 1 to 5")
    if action not in ACTIONS:
        raise BadSettings(f"{where}: action must be one of {', '.join(ACTIONS)}")
    return CategoryPolicy(float(threshold), severity, str(action))


def _check_floors(categories: Mapping[str, CategoryPolicy], where: str) -> None:
    for category, loosest in FLOORS.items():
        policy = categories[category]
        if policy.threshold > loosest:
            raise BadSettings(f"the policy {where}: the threshold of {category} may not be over {loosest}")
        if policy.action != "refuse":
            raise BadSettings(f"the policy {where}: the action of {category} is always refuse")


def _no_others(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    unknown = sorted(set(table) - allowed)
    if unknown:
        raise BadSettings(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(allowed))}")
