"""Policies: which score of which category has which consequence.

A policy is a TOML file with ``name``, ``version``, an optional ``extends`` (a ready policy; ``standard`` when absent)
and one table ``[categories.NAME]`` for each category that it sets: ``threshold`` (0 to 1), ``severity`` (1 to 5) and
``action`` (``allow``, ``review`` or ``refuse``), each optional. The ready ones set everything and extend nothing.

An own policy may add terms and allowed phrases (:mod:`.terms`), in lists (``terms``, ``allow``) or in files beside it
(``terms_file``, ``allow_file``), and say in ``[labels]`` which category a label of another model counts for (``any``:
harm of no category, ``none``: harmless).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from countermark.errors import BadSettings
from countermark.moderation.categories import ACTIONS, CATEGORIES
from countermark.moderation.terms import Term, parse_allowed, parse_terms, read_lines

__all__ = ["FLOORS", "POLICIES", "CategoryPolicy", "Policy", "load_policy"]

POLICIES: Final = ("strict", "standard", "creative", "eu", "news")
DEFAULT: Final = "standard"
# The loosest threshold that a policy may set for these; their action is always "refuse".
FLOORS: Final[Mapping[str, float]] = {"sexual_minors": 0.5, "nonconsensual_intimate": 0.7}

_TOP: Final = {"name", "version", "extends", "categories", "terms", "allow", "terms_file", "allow_file", "labels"}
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
    """A complete policy: every category is in ``categories``.

    ``terms`` and ``allow`` are an operator's own; ``labels`` maps a model's labels to categories, ``any`` or ``none``.
    """

    name: str
    version: int
    categories: Mapping[str, CategoryPolicy]
    terms: tuple[Term, ...] = ()
    allow: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``name@version``, as decisions and logs carry it."""
        return f"{self.name}@{self.version}"

    def with_files(self, terms: Path | None = None, allow: Path | None = None) -> Policy:
        """This policy with the terms and allowed phrases of two files added; its name then ends in ``+custom``.

        Raises :class:`countermark.errors.BadSettings` with the file and line of a mistake.
        """
        if terms is None and allow is None:
            return self
        more = parse_terms(read_lines(terms), str(terms)) if terms is not None else ()
        allowed = parse_allowed(read_lines(allow), str(allow)) if allow is not None else ()
        return replace(self, name=f"{self.name}+custom", terms=self.terms + more, allow=self.allow + allowed)


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
    return _parse(text, str(path), DEFAULT, path.parent)


@cache
def _ready(name: str) -> Policy:
    text = (files("countermark.moderation") / "policies" / f"{name}.toml").read_text("utf-8")
    return _parse(text, name, "")


def _parse(text: str, where: str, base: str, folder: Path = Path()) -> Policy:
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
    ordered = {category: categories[category] for category in CATEGORIES}
    policy = Policy(name, version, ordered, *_own(table, where), _labels(table, where))
    beside = [folder / _text(table, key, where) if key in table else None for key in ("terms_file", "allow_file")]
    return replace(policy.with_files(*beside), name=name)


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


def _own(table: Mapping[str, Any], where: str) -> tuple[tuple[Term, ...], tuple[str, ...]]:
    for key in ("terms", "allow"):
        lines = table.get(key, [])
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise BadSettings(f"the policy {where}: {key} must be a list of strings")
    return (
        parse_terms(table.get("terms", []), f"the policy {where}, terms"),
        parse_allowed(table.get("allow", []), f"the policy {where}, allow"),
    )


def _labels(table: Mapping[str, Any], where: str) -> dict[str, str]:
    labels = table.get("labels", {})
    if not isinstance(labels, dict):
        raise BadSettings(f"the policy {where}: labels must be a table")
    for label, category in labels.items():
        if category not in (*CATEGORIES, "any", "none"):
            raise BadSettings(f"the policy {where}, labels: {label} must be a category, any or none, not {category!r}")
    return dict(labels)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    if not isinstance(table[key], str) or not table[key].strip():
        raise BadSettings(f"the policy {where}: {key} must name a file")
    return str(table[key])


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
