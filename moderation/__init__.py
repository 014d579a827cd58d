"""The moderation room: a prompt in, a :class:`Decision` out, without torch.

::

    from countermark.moderation import moderate

    decision = moderate("a red ball bounces in a studio, animated")
    decision.allowed        # True
    decision.explain()      # "allowed"

:class:`Moderator` does the same for many prompts and from many threads, :func:`moderate_lines` for lines of text or
JSON. Which score has which consequence stands in a policy (:func:`load_policy`); which model has a say is
:func:`load_model`'s. :mod:`.frames` looks at finished videos. ``docs/moderation.md`` tells how scores are made and how
often they are wrong.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from countermark.moderation.audit import AuditLog
from countermark.moderation.categories import CATEGORIES
from countermark.moderation.decision import Decision, Reason
from countermark.moderation.lines import moderate_lines, read_prompts, to_line
from countermark.moderation.loading import load_model, moderator_of
from countermark.moderation.moderator import Moderator
from countermark.moderation.opinion import Opinion, PromptModel
from countermark.moderation.policy import FLOORS, POLICIES, CategoryPolicy, Policy, load_policy
from countermark.moderation.terms import Term

__all__ = [
    "CATEGORIES",
    "FLOORS",
    "POLICIES",
    "AuditLog",
    "CategoryPolicy",
    "Decision",
    "Moderator",
    "Opinion",
    "Policy",
    "PromptModel",
    "Reason",
    "Term",
    "load_model",
    "load_policy",
    "moderate",
    "moderate_lines",
    "moderator_of",
    "read_prompts",
    "to_line",
]


def moderate(text: str, *, policy: str | Path | Policy = "standard") -> Decision:
    """Judge one prompt under a ready policy's name, a policy file or a :class:`Policy`.

    Raises :class:`countermark.errors.BadSettings` for a policy that cannot be used and
    :class:`countermark.errors.WeightsMissing` for weights that are absent or damaged.
    """
    moderator = _shared(policy) if isinstance(policy, str) and policy in POLICIES else Moderator(policy)
    return moderator.check(text)


@cache
def _shared(policy: str) -> Moderator:
    return Moderator(policy)
