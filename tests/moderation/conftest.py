"""Prompts written for these tests, and one moderator for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.moderation import Moderator

HERE = Path(__file__).parent


def benign_prompts() -> list[str]:
    return (HERE / "benign.txt").read_text("utf-8").splitlines()


def harmful_prompts() -> list[tuple[str, str, str]]:
    """(category, language, prompt)"""
    lines = (HERE / "harmful.tsv").read_text("utf-8").splitlines()
    return [(category, language, prompt) for category, language, prompt in (line.split("\t") for line in lines)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"category", "lang", "prompt"} <= set(metafunc.fixturenames):
        metafunc.parametrize(("category", "lang", "prompt"), harmful_prompts())
    if "benign" in metafunc.fixturenames:
        metafunc.parametrize("benign", benign_prompts())


@pytest.fixture(scope="session")
def moderator() -> Moderator:
    return Moderator("standard")


@pytest.fixture(scope="session")
def all_benign() -> list[str]:
    return benign_prompts()


@pytest.fixture(scope="session")
def all_harmful() -> list[tuple[str, str, str]]:
    return harmful_prompts()
