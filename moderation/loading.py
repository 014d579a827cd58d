"""Models by name, and moderators as the settings want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from countermark.moderation.audit import AuditLog
from countermark.moderation.cascade import Cascade
from countermark.moderation.encoder import load_encoder
from countermark.moderation.linear import load_linear
from countermark.moderation.moderator import Moderator
from countermark.moderation.opinion import PromptModel
from countermark.moderation.policy import load_policy
from countermark.settings import Settings

__all__ = ["load_model", "moderator_of"]

# The models of the package; only those that are asked for are loaded.
EMBEDDED: Final[dict[str, Callable[[], PromptModel]]] = {
    "embedded": load_encoder,
    "linear": load_linear,
    "cascade": lambda: Cascade(load_linear(), load_encoder()),
}
ENDPOINT: Final = "openai:"


def load_model(name: str, labels: Mapping[str, str] | None = None) -> PromptModel:
    """A model of the package, an endpoint (``openai:URL``), or a model of Hugging Face: a folder or hub id.

    The package's are ``embedded`` (the encoder), ``linear`` (less sure, but much quicker) and ``cascade`` (the encoder
    where ``linear`` is not sure that a text is harmless).
    ``labels`` are a policy's, for models whose labels mean nothing by themselves. Raises
    :class:`countermark.errors.ModelUnavailable` for what cannot be loaded.
    """
    if name in EMBEDDED:
        return EMBEDDED[name]()
    if name.startswith(ENDPOINT):
        from countermark.moderation.endpoint import Endpoint

        return Endpoint(name.removeprefix(ENDPOINT), labels or {})
    return _hub(name, tuple(sorted((labels or {}).items())))


@lru_cache(maxsize=1)  # a program that generates many videos must not load gigabytes for each
def _hub(name: str, labels: tuple[tuple[str, str], ...]) -> PromptModel:
    from countermark.moderation.hub import load_hub

    return load_hub(name, dict(labels))


def moderator_of(
    settings: Settings,
    source: str,
    *,
    policy: str | None = None,
    model: str | None = None,
    terms: Path | None = None,
    allow: Path | None = None,
    audit: Path | None = None,
) -> Moderator:
    """A moderator as the settings want it, except for what is given; ``source`` names the command in the audit log.

    Raises :class:`countermark.errors.BadSettings`, ModelUnavailable, WeightsMissing, and OutputFailed for an audit
    log that cannot be written.
    """
    chosen = load_policy(policy or settings.policy).with_files(terms, allow)
    log = audit or settings.audit
    return Moderator(
        chosen,
        model=load_model(model or settings.moderation_model, chosen.labels),
        audit=AuditLog(log, source) if log is not None else None,
    )
