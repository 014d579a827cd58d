"""The categories of harm, and the order in which they are listed everywhere."""

from __future__ import annotations

from typing import Final, Literal, get_args

__all__ = ["CATEGORIES", "Action", "Category", "strongest"]

Category = Literal[
    "sexual",
    "sexual_minors",
    "violence_graphic",
    "hate",
    "harassment",
    "self_harm",
    "dangerous_acts",
    "fraud_impersonation",
    "election_misinformation",
    "deceptive_public_figure",
    "nonconsensual_intimate",
    "ip",
    "privacy",
    "shock",
    "jailbreak",
]
Action = Literal["allow", "review", "refuse"]

CATEGORIES: Final[tuple[str, ...]] = get_args(Category)
ACTIONS: Final[tuple[str, ...]] = get_args(Action)


def strongest(actions: list[str]) -> str:
    """The most severe of some actions; ``allow`` when there are none."""
    return max(actions, key=ACTIONS.index, default="allow")
