"""The chain of manifests: what sealing leaves in it, and what hostile JSON makes of it."""

from pathlib import Path
from typing import Any

import pytest

from countermark.provenance import Clip, Maker, inspect, seal, seal_clip
from countermark.provenance.chain import LONGEST, MOST, chain_of
from countermark.settings import load_settings


def test_a_sealed_copy_names_what_it_was_made_of(clip, tmp_path: Path):
    first = seal_clip(Clip.of_array(clip(16), 8), tmp_path / "a.mp4", Maker("m", "1"))
    second = seal(tmp_path / "a.mp4", tmp_path / "b.mp4", source="edited")
    new, old = inspect(tmp_path / "b.mp4", load_settings()).chain
    assert (new.manifest_id, old.manifest_id) == (second.manifest_id, first.manifest_id)
    assert (new.title, old.title) == ("b.mp4", "a.mp4")
    assert [action.action for action in new.actions] == ["c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound"]
    assert (old.actions[0].action, old.actions[0].source_type, old.actions[0].agent) == (
        "c2pa.created",
        "trainedAlgorithmicMedia",
        "m 1",
    )
    (ingredient,) = new.ingredients
    assert (ingredient.title, ingredient.relationship, ingredient.manifest_id) == ("a.mp4", "parentOf", old.manifest_id)
    for link in (new, old):
        assert (link.issuer, link.signer, link.time) == ("Countermark TEST", "Countermark TEST signer", "")
        assert link.generator.startswith("Countermark ")
        assert "claimSignature.validated" in link.successes
        assert link.failures == ()


def test_a_changed_file_fails_in_its_chain(clip, tmp_path: Path):
    seal_clip(Clip.of_array(clip(16), 8), tmp_path / "a.mp4", Maker("m"))
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    data[-20] ^= 1
    (tmp_path / "b.mp4").write_bytes(data)
    (link,) = inspect(tmp_path / "b.mp4", load_settings()).chain
    assert link.failures == ("assertion.bmffHash.mismatch",)


def _store(**manifests: Any) -> dict[str, Any]:
    return {"active_manifest": "a", "manifests": manifests}


@pytest.mark.parametrize("odd", [None, 3, "x", [], [3], {}, {"a": 3}, [[{}]], {"label": 3}])
def test_fields_of_the_wrong_type_are_read_as_absent(odd: Any):
    fields = ("ingredients", "assertions", "signature_info", "claim_generator_info", "title", "claim_generator")
    (link,) = chain_of(_store(a=dict.fromkeys(fields, odd)), {"activeManifest": odd})
    assert link.actions == ()
    assert chain_of({"manifests": odd, "active_manifest": odd}, {}) == ()
    actions = [{"label": "c2pa.actions", "data": {"actions": odd}}]
    assert len(chain_of(_store(a={"assertions": actions}), {})) == 1


def test_a_chain_that_bites_its_tail_ends_and_a_long_one_is_cut():
    loop = {"ingredients": [{"active_manifest": "b"}, {"active_manifest": "a"}]}
    assert [link.manifest_id for link in chain_of(_store(a=loop, b=loop), {})] == ["a", "b"]
    many = {f"m{i}": {"ingredients": [{"active_manifest": f"m{i + 1}"}]} for i in range(3 * MOST)}
    assert len(chain_of({"active_manifest": "m0", "manifests": many}, {})) == MOST
    actions = [{"label": "c2pa.actions", "data": {"actions": [{"action": "x" * 999}] * (MOST + 5)}}]
    (link,) = chain_of(_store(a={"assertions": actions}), {})
    assert len(link.actions) == MOST
    assert link.left_out == 5
    assert len(link.actions[0].action) == LONGEST
