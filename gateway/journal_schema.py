"""The journal's tables, and how a file of an older program becomes one of this.

Each step leads from one version to the next; a new file takes all of them. An older file is copied first, and then all
steps and the version's number are one transaction: if one fails, the file is what it was, for the old program too.
"""

import shutil
import sqlite3
from pathlib import Path

STEPS = (
    """
CREATE TABLE rows (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, stored_ms INTEGER NOT NULL,
  measurement TEXT NOT NULL, device TEXT NOT NULL, chair TEXT NOT NULL,
  boot TEXT NOT NULL, seq INTEGER NOT NULL, tags TEXT NOT NULL, fields TEXT NOT NULL, kept INTEGER NOT NULL);
CREATE UNIQUE INDEX rows_record ON rows (device, boot, seq) WHERE seq > 0;
CREATE INDEX rows_shown ON rows (chair, measurement, time_ns);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, row_id INTEGER NOT NULL, body TEXT NOT NULL,
  previous BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE snapshots (key TEXT PRIMARY KEY, body BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE quarantine (row_id INTEGER PRIMARY KEY, reason TEXT NOT NULL);
""",
    # Did a time service vouch for UTC when the row was stored? NULL: the program of then did not ask.
    "ALTER TABLE rows ADD COLUMN utc_trusted INTEGER;",
)
SCHEMA_VERSION = len(STEPS)
SPARE_BYTES = 16 * 1024 * 1024
"""What a copy must leave free: a gateway that cannot write helps less than one with an older file."""


class NewerJournal(RuntimeError):
    """The file was written by a newer version of this program; opening it could destroy what it holds."""


def bring_up(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Make the tables, or bring them up to date. Returns where the older file was copied to, if there was one.

    Raises NewerJournal; sqlite3.Error or OSError, with the file as it was."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise NewerJournal(f"{path} has format {version}; this program knows {SCHEMA_VERSION}")
    copy = _copied(connection, path, version) if 0 < version < SCHEMA_VERSION else None
    if version < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for step in STEPS[version:]:
                for statement in filter(str.strip, step.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return copy


def _copied(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A copy under the name of its version, whole or not at all. One that is there already is older and stays."""
    copy = path.with_name(f"{path.name}.format-{version}")
    if copy.exists():
        return copy
    free = shutil.disk_usage(path.parent).free
    if free < path.stat().st_size + SPARE_BYTES:
        raise OSError(
            f"{path} has an older format, and there is no room for the copy that is made before: {free} bytes"
        )
    unfinished = copy.with_name(copy.name + ".part")
    unfinished.unlink(missing_ok=True)
    target = sqlite3.connect(unfinished)
    try:
        connection.backup(target)
    finally:
        target.close()
    return unfinished.rename(copy)
