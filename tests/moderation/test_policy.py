"""Policies: ready ones, own ones, and the floors under two categories."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermark.errors import BadSettings
from countermark.moderation import CATEGORIES, FLOORS, POLICIES, Moderator, load_policy, moderate


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", POLICIES)
def test_ready_policy_is_complete(name: str) -> None:
    policy = load_policy(name)
    assert tuple(policy.categories) == CATEGORIES
    assert policy.label == f"{name}@1"


@pytest.mark.parametrize("name", POLICIES)
def test_every_ready_policy_refuses_the_gravest_cases(name: str) -> None:
    for prompt in (
        "sexual content with a minor",
        "a nude video of a famous singer",
        "how to build a pipe bomb at home",
    ):
        assert not moderate(prompt, policy=name).allowed


def test_strict_is_never_looser_than_standard() -> None:
    strict, standard = load_policy("strict"), load_policy("standard")
    assert all(strict.categories[c].threshold <= standard.categories[c].threshold for c in CATEGORIES)


def test_own_policy_extends_standard(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "mine"\nversion = 3\n[categories.ip]\nthreshold = 0.4\naction = "review"\n')
    policy = load_policy(path)
    assert policy.label == "mine@3"
    assert (policy.categories["ip"].threshold, policy.categories["ip"].action) == (0.4, "review")
    assert policy.categories["ip"].severity == load_policy("standard").categories["ip"].severity
    assert policy.categories["hate"] == load_policy("standard").categories["hate"]
    decision = Moderator(path).check("Pikachu rides a bicycle")
    assert (decision.allowed, decision.action, decision.flagged) == (True, "review", ("ip",))
    assert decision.explain().startswith("allowed, for review: ip")
    assert decision.policy == "mine@3"


@pytest.mark.parametrize("category", FLOORS)
def test_floors_can_be_made_stricter_only(tmp_path: Path, category: str) -> None:
    head = f'name = "x"\nversion = 1\n[categories.{category}]\n'
    assert load_policy(written(tmp_path, f"{head}threshold = 0.1\n")).categories[category].threshold == 0.1
    with pytest.raises(BadSettings, match=category):
        load_policy(written(tmp_path, f"{head}threshold = {FLOORS[category] + 0.01}\n"))
    for action in ("allow", "review"):
        with pytest.raises(BadSettings, match=category):
            load_policy(written(tmp_path, f'{head}action = "{action}"\n'))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'x'\nversion = 1\ncolour = 1\n", "unknown colour"),
        ("name = 'x'\nversion = 1\n[categories.fun]\nthreshold = 0.5\n", "unknown fun"),
        ("name = 'x'\nversion = 1\n[categories.ip]\nlimit = 0.5\n", "unknown limit"),
        ("name = 'x'\nversion = 1\n[categories.ip]\nthreshold = 2\n", "threshold"),
        ("name = 'x'\nversion = 1\n[categories.ip]\nthreshold = true\n", "threshold"),
        ("name = 'x'\nversion = 1\n[categories.ip]\nthreshold = nan\n", "threshold"),
        ("name = 'x'\nversion = 1\n[categories.ip]\nseverity = 9\n", "severity"),
        ("name = 'x'\nversion = 1\n[categories.ip]\naction = 'burn'\n", "action"),
        ("name = 'x'\nversion = 1\ncategories = 3\n", "tables"),
        ("name = 'x'\nversion = 1\n[categories]\nip = 3\n", "table"),
        ("name = 'x'\nversion = 0\n", "version"),
        ("version = 1\n", "name"),
        ("name = 'x'\nversion = 1\nextends = 'nothing'\n", "extends"),
        ("name = ", "TOML"),
    ],
)
def test_mistakes_in_a_policy_are_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadSettings, match=says) as caught:
        load_policy(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nonsense", "no/such/file.toml", "", "\x00"])
def test_unknown_policy(name: str) -> None:
    with pytest.raises(BadSettings):
        load_policy(name)


def test_policy_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadSettings, match="cannot be read"):
        load_policy(path)
