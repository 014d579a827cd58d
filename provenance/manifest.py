"""What a manifest says: the definition that is signed, linted first, since the library enforces little of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from countermark.errors import SealFailed

__all__ = ["COMPOSITE", "SOFT_BINDING", "TRAINED", "Maker", "definition", "new_manifest_id"]

SOFT_BINDING = "org.countermark.spread-spectrum.1"  # our own algorithm name; other makers' names belong to them
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{IPTC}trainedAlgorithmicMedia"
COMPOSITE = f"{IPTC}compositeWithTrainedAlgorithmicMedia"
ACTIONS = {"c2pa.created", "c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound"}


@dataclass(frozen=True)
class Maker:
    """What made the frames: a model's name and version, and whether it made or edited them."""

    name: str
    version: str | None = None
    source: Literal["generated", "edited"] = "generated"


def new_manifest_id() -> str:
    """A manifest label: ``urn:c2pa:`` and a random UUID. Chosen before watermarking, so that both can be stored."""
    return f"urn:c2pa:{uuid.uuid4()}"


def definition(manifest_id: str, payload: str, title: str, maker: Maker, mime: str, *, parent: bool) -> dict[str, Any]:
    """A manifest definition (C2PA 2.4) for a marked file of type ``mime``.

    ``payload``: 16 hexadecimal digits. ``parent``: whether an ingredient labelled ``parent`` will be added, whose
    credentials stay in the chain.
    """
    agent: dict[str, Any] = {"name": maker.name}
    if maker.version:
        agent["version"] = maker.version
    source_type = TRAINED if maker.source == "generated" else COMPOSITE
    actions: list[dict[str, Any]] = []
    if parent:
        actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}})
        actions.append({"action": "c2pa.edited", "digitalSourceType": source_type, "softwareAgent": agent})
    else:
        actions.append({"action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent})
    actions.append({"action": "c2pa.watermarked.bound"})
    made = {
        "label": manifest_id,
        "title": title,
        "format": mime,
        "claim_generator_info": [
            {"name": "Countermark", "version": metadata.version("countermark"), "specVersion": "2.4"}
        ],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "created": True,
                "data": {"actions": actions, "allActionsIncluded": True},
            },
            {
                "label": "c2pa.soft-binding",
                "created": True,
                "data": {"alg": SOFT_BINDING, "blocks": [{"scope": {}, "value": payload}]},
            },
        ],
    }
    lint(made)
    return made


def lint(made: dict[str, Any]) -> None:
    """Raises SealFailed for what the spec forbids and the library lets pass."""
    actions = made["assertions"][0]["data"]["actions"]
    if not made["label"].startswith("urn:c2pa:"):
        raise SealFailed("a manifest id starts with urn:c2pa:")
    if actions[0]["action"] not in ("c2pa.created", "c2pa.opened"):
        raise SealFailed("a manifest's first action is c2pa.created or c2pa.opened")
    for action in actions:
        if action["action"] not in ACTIONS:
            raise SealFailed(f"unknown action {action['action']}")
        if not action.get("digitalSourceType", IPTC).startswith(IPTC):
            raise SealFailed(f"unknown digitalSourceType {action['digitalSourceType']}")
