import datetime
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from countermark.errors import StoreError
from countermark.provenance import Entry, Fingerprint, FingerprintMaker, Store
from countermark.provenance import store as store_module


def _postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(p) for p in [shutil.which("initdb")] if p]
    return found[-1].parent if found else None


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An SQLite file, or a PostgreSQL server of this test's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 's.db'}"
        return
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="cm-pg-") as folder:
        data, user = Path(folder) / "data", None
        if os.geteuid() == 0:  # the server refuses to run as root
            user = "nobody"
            shutil.chown(folder, user)

        def run(*command: str) -> None:
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)

        run(str(binaries / "initdb"), "-D", str(data), "-U", "cm", "-A", "trust", "-N")
        options = f"-c listen_addresses='' -k {folder}"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://cm@/postgres?host={folder}"
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


def _entry(number: int, path: str = "x.mp4") -> Entry:
    prints = Fingerprint(np.full((3, 32), number, np.uint8))
    marks = f"{number:016x}", 100 + number, f"{number:064x}"
    return Entry(f"urn:c2pa:{number}", *marks, b"manifest\x00", prints, "0" * 8, "m", path)


def test_entries_come_back_whole(url: str):
    with Store(url) as store:
        store.reserve(_entry(1))
        store.reserve(_entry(2))
        store.confirm("urn:c2pa:1")
        found = store.by_payload(f"{1:016x}")
        assert found is not None
        assert (found.manifest_id, found.manifest, found.model) == ("urn:c2pa:1", b"manifest\x00", "m")
        assert (found.fingerprint.hashes == 1).all()
        assert store.by_manifest_id("urn:c2pa:2") is not None
        assert store.by_payload("f" * 16) is None
        assert sorted(store.marks("0" * 8)) == [(1, 101), (2, 102)]
        assert store.marks("1" * 8) == []
        assert len(store) == 2
    with Store(url) as again:
        assert len(again) == 2


def test_a_payload_is_unique_and_the_error_is_one_line(url: str):
    with Store(url) as store:
        store.reserve(_entry(1))
        with pytest.raises(StoreError) as caught:
            store.reserve(_entry(1))
        assert "\n" not in str(caught.value)
        assert len(store) == 1


def test_pending_entries_are_settled_only_when_old(url: str):
    with Store(url) as store:
        for number in (1, 2, 3):
            store.reserve(_entry(number, f"{number}.mp4"))
        store.confirm("urn:c2pa:3")
        assert store.sweep(lambda path, digest: False) == 0, "a seal that is under way was swept"
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        with store._engine.begin() as connection:
            connection.execute(sa.update(store_module.MANIFESTS).values(created=long_ago))
        assert store.sweep(lambda path, digest: path == "1.mp4") == 1
        assert store.by_manifest_id("urn:c2pa:1") is not None
        assert store.by_manifest_id("urn:c2pa:2") is None
        assert store.by_manifest_id("urn:c2pa:3") is not None
        store.withdraw("urn:c2pa:3")
        assert store.by_manifest_id("urn:c2pa:3") is not None, "a sealed entry was withdrawn"


@pytest.mark.parametrize(
    "bad", ["nonsense", "nodb://x", "postgresql+psycopg://u:secret@/db?host=/nonexistent", "sqlite:////proc/none/s.db"]
)
def test_stores_that_cannot_be_opened(bad: str):
    with pytest.raises(StoreError) as caught:
        Store(bad)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_fingerprints_tell_content_apart(clip):
    def print_of(frames):
        maker = FingerprintMaker()
        for i, frame in enumerate(frames):
            maker.add(i / 8, frame)
        return maker.finish()

    one, other = clip(24, seed=1), clip(24, seed=2)
    a, b = print_of(one), print_of(other)
    assert len(a.hashes) == 6
    assert a.distance(a) == 0
    assert a.matches(print_of(one[8:16])), "a cut is the same content"
    assert a.matches(print_of(np.clip(one.astype(int) + 25, 0, 255).astype(np.uint8)))
    assert a.matches(print_of(one[:, 8:-8, 8:-8]))
    assert not a.matches(b)
    assert not a.matches(FingerprintMaker().finish())
    assert (Fingerprint.from_bytes(a.to_bytes()).hashes == a.hashes).all()
