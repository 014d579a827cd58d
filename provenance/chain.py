"""The chain of manifests that a file carries, read for people: who signed what, when, and what they say was done.

Everything here is text that somebody else wrote, hostile files included: it is cut to a bounded size, and whoever shows
it must escape it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Action", "Ingredient", "Link", "chain_of"]

MOST = 24  # manifests, actions of one, ingredients of one; more are counted, not kept
LONGEST = 200  # characters of a text


@dataclass(frozen=True)
class Action:
    """What a manifest says was done: the field names are those of C2PA's action assertion; "" where it says nothing.

    ``source_type``: the last part of the IPTC digital source type.
    """

    action: str
    source_type: str = ""
    agent: str = ""
    when: str = ""


@dataclass(frozen=True)
class Ingredient:
    """What went in: ``manifest_id`` of its own credentials, if it had any, and what validating them gave."""

    title: str
    relationship: str
    manifest_id: str = ""
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """One manifest of the chain. ``time``: of a time stamp, else "". ``successes`` and ``failures``: validation codes.

    ``left_out``: how many actions and ingredients beyond the first 24 are not listed.
    """

    manifest_id: str
    title: str
    issuer: str
    signer: str
    time: str
    algorithm: str
    generator: str
    actions: tuple[Action, ...]
    ingredients: tuple[Ingredient, ...]
    successes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    left_out: int = 0


def chain_of(store: dict[str, Any], results: dict[str, Any]) -> tuple[Link, ...]:
    """The manifests of a reader's JSON, the active one first, then its ingredients' as they are reached.

    ``store``: the JSON of c2pa's reader; ``results``: its validation results. Fields of the wrong type are read as
    absent.
    """
    manifests = _dict(store.get("manifests"))
    waiting, seen, links = [str(store.get("active_manifest"))], set[str](), list[Link]()
    validated = {waiting[0]: _dict(results.get("activeManifest"))}
    while waiting and len(links) < MOST:
        name = waiting.pop(0)
        if name in seen or name not in manifests:
            continue
        seen.add(name)
        manifest = _dict(manifests[name])
        for one in _dicts(manifest.get("ingredients")):
            inner = _text(one.get("active_manifest"))
            waiting.append(inner)
            validated.setdefault(inner, _dict(_dict(one.get("validation_results")).get("activeManifest")))
        links.append(_link(name, manifest, validated.get(name, {})))
    return tuple(links)


def _link(name: str, manifest: dict[str, Any], validated: dict[str, Any]) -> Link:
    signature = _dict(manifest.get("signature_info"))
    actions = [
        action
        for assertion in _dicts(manifest.get("assertions"))
        if _text(assertion.get("label")).startswith("c2pa.actions")
        for action in _dicts(_dict(assertion.get("data")).get("actions"))
    ]
    ingredients = _dicts(manifest.get("ingredients"))
    return Link(
        manifest_id=name[:LONGEST],
        title=_text(manifest.get("title")),
        issuer=_text(signature.get("issuer")),
        signer=_text(signature.get("common_name")),
        time=_text(signature.get("time")),
        algorithm=_text(signature.get("alg")),
        generator=_named(next(iter(_dicts(manifest.get("claim_generator_info"))), manifest.get("claim_generator"))),
        actions=tuple(_action(action) for action in actions[:MOST]),
        ingredients=tuple(_ingredient(one) for one in ingredients[:MOST]),
        successes=_codes(validated, "success"),
        failures=_codes(validated, "failure"),
        left_out=max(0, len(actions) - MOST) + max(0, len(ingredients) - MOST),
    )


def _action(action: dict[str, Any]) -> Action:
    return Action(
        _text(action.get("action")),
        _text(action.get("digitalSourceType")).rsplit("/", 1)[-1],
        _named(action.get("softwareAgent")),
        _text(action.get("when")),
    )


def _ingredient(one: dict[str, Any]) -> Ingredient:
    return Ingredient(
        _text(one.get("title")),
        _text(one.get("relationship")),
        _text(one.get("active_manifest")),
        _codes(_dict(_dict(one.get("validation_results")).get("activeManifest")), "failure"),
    )


def _codes(validated: dict[str, Any], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_text(item.get("code")) for item in _dicts(validated.get(kind))))[:MOST]


def _named(agent: Any) -> str:
    """A program's name and version, from either form that the specification allows."""
    if isinstance(agent, dict):
        return " ".join(_text(agent[k]) for k in ("name", "version") if agent.get(k))
    return _text(agent)


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)[:LONGEST]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
