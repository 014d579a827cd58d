"""The rules from signals to a verdict, one row a rule and its neighbours."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from countermark.detect.fusion import fuse
from countermark.report import CREDENTIALS, SOURCES, VERDICTS, Evidence, Rule


def _signals(**said: Any) -> list[Evidence]:
    """Evidence of all five sources; ``c2pa="captured"`` sets what one says, a dict also its figures."""
    made = []
    for source in SOURCES:
        given = said.pop(source, "nothing")
        figures = dict(given) if isinstance(given, dict) else {}
        says = figures.pop("says", "nothing") if isinstance(given, dict) else given
        made.append(Evidence(source, True, says, "because.", figures))
    assert not said, said
    return made


OURS = {"says": "generated", "detected": True}
TRANSPLANT = {"says": "conflict", "detected": True}
UNKNOWN = {"says": "nothing", "detected": True}

# the verdict, the state of the credentials, what the sources say, and the rule that decides
RULES = [
    # 1: signals that conflict
    ("inconclusive", "none", {"watermark": TRANSPLANT}, "transplant"),
    ("inconclusive", "test_identity", {"watermark": TRANSPLANT, "c2pa": "generated"}, "transplant"),
    ("inconclusive", "trusted", {"watermark": TRANSPLANT, "c2pa": "captured"}, "transplant"),
    (
        "inconclusive",
        "none",
        {"watermark": TRANSPLANT, "classifier": "generated", "known_marks": "generated"},
        "transplant",
    ),
    ("inconclusive", "trusted", {"watermark": OURS, "c2pa": "captured"}, "camera_contradicted"),
    ("inconclusive", "trusted", {"watermark": UNKNOWN, "c2pa": "captured"}, "camera_contradicted"),
    ("inconclusive", "trusted", {"known_marks": "generated", "c2pa": "captured"}, "camera_contradicted"),
    ("inconclusive", "trusted", {"classifier": "generated", "c2pa": "captured"}, "camera_contradicted"),
    # 2: a manifest that can be believed says that a model made or edited it
    ("generated", "trusted", {"c2pa": "generated"}, "manifest"),
    ("generated", "test_identity", {"c2pa": "generated"}, "manifest"),
    ("generated", "recovered", {"c2pa": "generated", "watermark": OURS}, "manifest"),
    ("generated", "trusted", {"c2pa": "edited"}, "manifest"),
    ("generated", "trusted", {"c2pa": "generated", "watermark": UNKNOWN}, "manifest"),
    # 3: our mark on the content that it was put on, whatever became of the manifest
    ("generated", "none", {"watermark": OURS}, "mark"),
    ("generated", "tampered", {"watermark": OURS, "c2pa": "tampered"}, "mark"),
    ("generated", "untrusted_signer", {"watermark": OURS, "c2pa": "captured"}, "mark"),
    # 4: a camera that can be believed, and nothing against it
    ("captured", "trusted", {"c2pa": "captured"}, "camera"),
    ("captured", "trusted", {"c2pa": "captured", "classifier": "unsure"}, "camera"),
    ("no_evidence", "test_identity", {"c2pa": "captured"}, "nothing"),
    ("inconclusive", "untrusted_signer", {"c2pa": "captured"}, "credentials"),
    # 5: the classifier, or a public mark that anybody can forge
    ("likely_generated", "none", {"classifier": "generated"}, "classifier"),
    ("likely_generated", "none", {"known_marks": "generated"}, "known_mark"),
    ("likely_generated", "tampered", {"classifier": "generated", "c2pa": "tampered"}, "classifier"),
    ("likely_generated", "none", {"classifier": "generated", "watermark": UNKNOWN}, "classifier"),
    # 6: something is there that proves nothing
    ("inconclusive", "none", {"watermark": UNKNOWN}, "unknown_mark"),
    ("inconclusive", "tampered", {"c2pa": "tampered"}, "credentials"),
    ("inconclusive", "unreadable", {"c2pa": "tampered"}, "credentials"),
    ("inconclusive", "untrusted_signer", {"c2pa": "generated"}, "credentials"),
    ("inconclusive", "none", {"classifier": "unsure"}, "unsure"),
    # 7: nothing
    ("no_evidence", "none", {}, "nothing"),
    ("no_evidence", "trusted", {}, "nothing"),
]


@pytest.mark.parametrize(("verdict", "credentials", "said", "rule"), RULES)
def test_each_rule_gives_its_verdict(verdict, credentials, said, rule):
    found = fuse(_signals(**said), credentials)
    assert (found.verdict, found.rule) == (verdict, rule)


def test_every_rule_is_tested_and_named_in_the_docs():
    assert {rule for *_, rule in RULES} == set(get_args(Rule))
    docs = Path(__file__).resolve().parents[2] / "docs" / "detection.md"
    if not docs.exists():
        pytest.skip("the tests lie outside the repository")
    table = [line for line in docs.read_text().splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in table] == list(get_args(Rule))
    for line in table:
        verdicts = {verdict for verdict, *_, rule in RULES if rule == line.split("`")[1]}
        assert verdicts == {line.split("`")[3]}, line


@pytest.mark.parametrize(
    ("credentials", "said", "because"),
    [
        ("none", {"watermark": TRANSPLANT, "fingerprint": "conflict"}, ("watermark", "fingerprint")),
        ("trusted", {"watermark": TRANSPLANT, "c2pa": "captured"}, ("watermark", "fingerprint", "c2pa")),
        ("trusted", {"c2pa": "captured", "classifier": "generated"}, ("c2pa", "classifier")),
        ("trusted", {"c2pa": "captured", "watermark": UNKNOWN}, ("c2pa", "watermark")),
        (
            "trusted",
            {"c2pa": "captured", "watermark": OURS, "known_marks": "generated", "classifier": "generated"},
            ("c2pa", "watermark", "known_marks", "classifier"),
        ),
        ("none", {"known_marks": "generated", "classifier": "generated"}, ("known_marks", "classifier")),
        ("none", {"known_marks": "generated", "watermark": UNKNOWN}, ("known_marks",)),
        ("none", {"watermark": OURS}, ("watermark", "fingerprint")),
        ("tampered", {"c2pa": "tampered"}, ("c2pa",)),
        ("none", {}, ()),
    ],
)
def test_a_conflict_names_both_sides(credentials, said, because):
    assert fuse(_signals(**said), credentials).because == because


def test_the_order_of_the_evidence_does_not_matter():
    for verdict, credentials, said, _ in RULES:
        assert fuse(_signals(**said)[::-1], credentials)[0] == verdict


@pytest.mark.parametrize("opinion", ["generated", "unsure", "nothing"])
@pytest.mark.parametrize("claim", ["generated", "edited", "captured"])
def test_the_classifier_never_overrules_a_trusted_manifest(opinion: str, claim: str):
    """It can at most make a camera's manifest doubtful, and turns no claim into its opposite."""
    verdict, *_ = fuse(_signals(c2pa=claim, classifier={"says": opinion, "probability": 0.99}), "trusted")
    if claim == "captured":
        assert verdict == ("inconclusive" if opinion == "generated" else "captured")
    else:
        assert verdict == "generated"


def test_the_probability_is_the_classifiers_and_changes_no_verdict():
    for verdict, credentials, said, _ in RULES:
        opinion = {"says": said.get("classifier", "nothing"), "probability": 0.25, "abstained": False}
        assert fuse(_signals(**{**said, "classifier": opinion}), credentials)[:2] == (verdict, 0.25)
        assert fuse(_signals(**said), credentials)[1] is None


def test_a_manifest_never_hides_what_the_classifier_says():
    for claim in ("generated", "edited", "captured"):
        for opinion in ("generated", "unsure", "nothing"):
            evidence = _signals(c2pa=claim, classifier={"says": opinion, "probability": 0.9})
            assert fuse(evidence, "trusted").probability == 0.9


def test_the_fingerprint_alone_decides_nothing():
    """It judges the mark; found through a manifest, it must not add to what the manifest says."""
    for says in ("generated", "conflict"):
        assert fuse(_signals(fingerprint=says), "none")[0] == "no_evidence"


def test_only_believable_manifests_count():
    for state in CREDENTIALS:
        verdict, *_ = fuse(_signals(c2pa="generated"), state)
        assert (verdict == "generated") == (state in ("trusted", "test_identity", "recovered")), state


def test_every_combination_has_a_verdict_of_the_contract():
    marks = [{}, OURS, TRANSPLANT, UNKNOWN]
    for state in CREDENTIALS:
        for claim in ("nothing", "generated", "edited", "captured", "tampered"):
            for mark in marks:
                for opinion in ("nothing", "generated", "unsure"):
                    evidence = _signals(c2pa=claim, watermark=mark, classifier=opinion)
                    verdict, *_ = fuse(evidence, state)
                    assert verdict in VERDICTS
                    known = [replace(e, says="generated") if e.source == "known_marks" else e for e in evidence]
                    assert fuse(known, state)[0] != "no_evidence"
                    if verdict == "captured":
                        assert (state, claim, mark) == ("trusted", "captured", {})
