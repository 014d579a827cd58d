"""The audit log: one JSON line for each decision, without the prompt.

A line names the prompt by its SHA-256 (of its UTF-8 bytes) and its length in characters. A hash of a short or common
prompt can be guessed by trying; whoever may not read prompts should not read the log either. It is made with mode 0600.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from countermark.moderation.decision import SCHEMA, Decision
from countermark.moderation.frames import FrameDecision
from countermark.outputs import LineFile

__all__ = ["AuditLog"]


class AuditLog:
    """Appends to a file, which several threads and processes may share and which may be moved away at any time.

    ``source`` is the command that the decisions are made for. Raises :class:`countermark.errors.OutputFailed` when
    the file cannot be written, the first time when the log is made.
    """

    def __init__(self, path: str | Path, source: str) -> None:
        self.path = Path(path)
        self.source = source
        LineFile(self.path, 0o600).close()

    def add(self, text: str, decision: Decision, model: str) -> None:
        """Writes down what was decided about a prompt, with which model."""
        flagged = {category: decision.scores[category] for category in decision.flagged}
        self._write(text, decision.action, flagged, {"risk": round(decision.risk, 4)}, decision.policy, model)

    def add_frames(self, text: str, decision: FrameDecision, policy: str, model: str) -> None:
        """Writes down what was decided about the frames that a prompt led to."""
        flagged = {category: decision.scores[category] for category in decision.flagged}
        self._write(text, decision.action, flagged, {"frames": True}, policy, model)

    def _write(
        self, text: str, action: str, flagged: Mapping[str, float], more: dict[str, Any], policy: str, model: str
    ) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {
            "schema": SCHEMA,
            "time": now,
            "source": self.source,
            "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            "length": len(text),
            "action": action,
            "flagged": {category: round(score, 4) for category, score in flagged.items()},
            **more,
            "policy": policy,
            "model": model,
        }
        with LineFile(self.path, 0o600) as file:
            file.write(json.dumps(entry))
