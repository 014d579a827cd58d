"""Every error that Countermark raises on purpose.

::

    CountermarkError            exit code 1
    ├── UsageError              2  arguments that cannot be
    ├── PromptRefused           3  moderation refused a prompt
    ├── UnsafeOutput            3  moderation refused a finished video
    ├── BadMedia                1  a file that is no usable image or video
    ├── OutputFailed            1  the output could not be written (permissions, a full disk)
    ├── SealFailed              1  watermarking, signing or verifying failed
    ├── StoreError              1  the manifest store cannot be opened or is damaged
    ├── BadKey                  1  a key, certificate or chain that cannot be used
    ├── BadSettings             1  a settings, policy or terms file with a mistake
    ├── ModelUnavailable        1  an unknown or unloadable model
    └── WeightsMissing          1  a weights file is absent or is not the one expected

The command line prints the message as one line on stderr and leaves with ``exit_code``.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "BadKey",
    "BadMedia",
    "BadSettings",
    "CountermarkError",
    "ModelUnavailable",
    "OutputFailed",
    "PromptRefused",
    "SealFailed",
    "StoreError",
    "UnsafeOutput",
    "UsageError",
    "WeightsMissing",
]


class CountermarkError(Exception):
    """Base of the tree. ``str(error)`` is one line, fit for a user."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def details(self) -> dict[str, Any]:
        """Further fields for the ``error`` object that ``--json`` prints."""
        return {}


class UsageError(CountermarkError):
    """Arguments that contradict each other or lie outside their range."""

    exit_code = 2


class PromptRefused(CountermarkError):
    """Moderation refused a prompt; ``decision`` is the :class:`countermark.moderation.Decision`."""

    exit_code = 3

    def __init__(self, message: str, decision: Any) -> None:
        super().__init__(message)
        self.decision = decision

    def details(self) -> dict[str, Any]:
        """The decision as a JSON object."""
        return {"decision": self.decision.to_json()}


class UnsafeOutput(CountermarkError):
    """Moderation refused a finished video."""

    exit_code = 3


class BadMedia(CountermarkError):
    """A file that is missing, empty, damaged or holds nothing that can be decoded."""


class OutputFailed(CountermarkError):
    """The output could not be written; nothing was left behind."""


class SealFailed(CountermarkError):
    """Watermarking, signing or verifying failed; nothing was written."""


class StoreError(CountermarkError):
    """The manifest store cannot be opened, is damaged or refuses a write."""


class BadKey(CountermarkError):
    """A key, certificate or chain that cannot be used."""


class BadSettings(CountermarkError):
    """A settings, policy or terms file with a mistake in it."""


class ModelUnavailable(CountermarkError):
    """A model that is unknown, cannot be loaded or lacks a needed extra."""


class WeightsMissing(CountermarkError):
    """A weights file is absent, or its sha256 is not the one in the code."""
