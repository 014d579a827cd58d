"""The manifest store: what was sealed, found again by manifest id, payload or file hash.

A row is committed as ``pending`` before its file is renamed into place and becomes ``sealed`` after: whatever kills
the process in between, no signed file is without its row, and rows without a file can be told and are swept.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from countermark.errors import StoreError
from countermark.provenance.fingerprint import Fingerprint

__all__ = ["Entry", "Store"]

SWEEP_AFTER = datetime.timedelta(minutes=10)
METADATA = sa.MetaData()
MANIFESTS = sa.Table(
    "manifests",
    METADATA,
    sa.Column("manifest_id", sa.String(64), primary_key=True),
    sa.Column("payload", sa.String(16), nullable=False, unique=True),
    sa.Column("variant", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("key_id", sa.String(8), nullable=False, index=True),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True)
class Entry:
    """One sealed file: its manifest's bytes, payload and variant of the mark in its frames, and what it looks like."""

    manifest_id: str
    payload: str
    variant: int
    sha256: str
    manifest: bytes
    fingerprint: Fingerprint
    key_id: str
    model: str
    path: str


class Store:
    """A store at an SQLAlchemy URL (SQLite and PostgreSQL are tested). Raises StoreError for every failure of it."""

    def __init__(self, url: str) -> None:
        self._name = url
        try:
            address = sa.make_url(url)
            self._name = address.render_as_string(hide_password=True)
            if address.get_backend_name() == "sqlite" and address.database:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(address)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError, OSError) as error:
            raise StoreError(f"the store {self._name} cannot be opened: {error}") from None
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _careful)
        with self._errors():
            METADATA.create_all(self._engine)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the store's connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"the store {self._name} failed: {str(cause).splitlines()[0]}") from None

    def reserve(self, entry: Entry) -> None:
        """Commits an entry as pending; its file is renamed into place next."""
        row = {**entry.__dict__, "fingerprint": entry.fingerprint.to_bytes(), "state": "pending"}
        row["created"] = datetime.datetime.now(datetime.UTC)
        with self._errors(), self._engine.begin() as connection:
            connection.execute(MANIFESTS.insert().values(row))

    def confirm(self, manifest_id: str) -> None:
        """Marks a pending entry as sealed: its file is in place."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(MANIFESTS.update().where(MANIFESTS.c.manifest_id == manifest_id).values(state="sealed"))

    def withdraw(self, manifest_id: str) -> None:
        """Deletes a pending entry whose file could not be put in place."""
        with self._errors(), self._engine.begin() as connection:
            connection.execute(
                MANIFESTS.delete().where(MANIFESTS.c.manifest_id == manifest_id, MANIFESTS.c.state == "pending")
            )

    def sweep(self, holds: Any) -> int:
        """Settles old pending entries, left by a killed process; ``holds(path, sha256)`` says whether a file is there.

        Returns how many entries without a file were deleted.
        """
        before = datetime.datetime.now(datetime.UTC) - SWEEP_AFTER
        query = sa.select(MANIFESTS.c.manifest_id, MANIFESTS.c.path, MANIFESTS.c.sha256).where(
            MANIFESTS.c.state == "pending", MANIFESTS.c.created < before
        )
        with self._errors(), self._engine.begin() as connection:
            rows = connection.execute(query).all()
        gone = 0
        for manifest_id, path, digest in rows:
            if holds(path, digest):
                self.confirm(manifest_id)
            else:
                self.withdraw(manifest_id)
                gone += 1
        return gone

    def by_payload(self, payload: str) -> Entry | None:
        """The entry with this payload (16 hexadecimal digits)."""
        return self._one(MANIFESTS.c.payload == payload)

    def by_manifest_id(self, manifest_id: str) -> Entry | None:
        """The entry with this manifest id."""
        return self._one(MANIFESTS.c.manifest_id == manifest_id)

    def by_sha256(self, digest: str) -> Entry | None:
        """The entry whose file has this sha256 (64 hexadecimal digits)."""
        return self._one(MANIFESTS.c.sha256 == digest)

    def marks(self, key_id: str) -> list[tuple[int, int]]:
        """Payloads and variants of everything that was marked with a key."""
        query = sa.select(MANIFESTS.c.payload, MANIFESTS.c.variant).where(MANIFESTS.c.key_id == key_id)
        with self._errors(), self._engine.begin() as connection:
            return [(int(payload, 16), variant) for payload, variant in connection.execute(query)]

    def __len__(self) -> int:
        with self._errors(), self._engine.begin() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(MANIFESTS)).scalar_one())

    def _one(self, condition: sa.ColumnElement[bool]) -> Entry | None:
        with self._errors(), self._engine.begin() as connection:
            row = connection.execute(MANIFESTS.select().where(condition)).mappings().first()
        if row is None:
            return None
        fields = {name: row[name] for name in Entry.__dataclass_fields__}
        fields["fingerprint"] = Fingerprint.from_bytes(bytes(row["fingerprint"]))
        fields["manifest"] = bytes(row["manifest"])
        return Entry(**fields)


def _careful(connection: Any, _: Any) -> None:
    """SQLite: readers beside a writer, a wait instead of an error when busy, and nothing lost at a power cut."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=20000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
