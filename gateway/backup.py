"""One file with everything a gateway is: its journal, configuration, protocols and keys; and the way back.

The journal is copied while the gateway writes it, page by page in one transaction of SQLite's own backup, so that the
copy is of one moment. A manifest names each file with its SHA-256; a restore checks every one, the database's own
integrity and the audit chain before it puts anything in place.
"""

import hashlib
import io
import sqlite3
import tarfile
import tempfile
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config import Config
from gateway.journal_recovery import broken_audit

MANIFEST = "manifest.json"
JOURNAL = "journal.db"
FORMAT = 1
PAGES_AT_ONCE = 4_000
"""Between two bites the gateway may commit; a bite of 16 MB holds nobody up for long."""


class Unfit(Exception):
    """The archive must not be restored; the text says why."""


class Held(Struct, frozen=True):
    """A file of the archive and where it came from, relative to the configuration's folder or absolute."""

    name: str
    path: str
    sha256: str


class Manifest(Struct, frozen=True):
    format: int
    site: str
    made_utc: str
    files: list[Held]


def backup(config_file: Path, config: Config, target: Path) -> Manifest:
    """Write the archive, readable by its owner only: it holds keys. Raises OSError, sqlite3.Error; FileExistsError
    rather than to replace what it saves."""
    home, named = config_file.parent.resolve(), _files(config_file, config)
    if target.resolve() in {path.resolve() for path in (Path(config.journal.path), *named)}:
        raise FileExistsError("this is one of the files to save; name another")
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as made:
        copy = Path(made) / JOURNAL
        _copy_journal(Path(config.journal.path), copy)
        files = [(copy, Path(config.journal.path))]
        files += [(path, path) for path in named]
        held = [
            Held(f"{number:03d}-{path.name}", _relative(origin, home), _digest(path))
            for number, (path, origin) in enumerate(files)
        ]
        manifest = Manifest(FORMAT, config.site.name, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), held)
        unfinished = Path(made) / "archive"
        unfinished.touch(mode=0o600)
        with tarfile.open(unfinished, "w:gz", dereference=True) as archive:
            _add(archive, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            for one, (path, _) in zip(held, files, strict=True):
                archive.add(path, one.name)
        unfinished.replace(target)
    return manifest


def restore(source: Path, folder: Path) -> Manifest:
    """Put everything back under `folder`; what was outside the configuration's folder comes under `elsewhere` there,
    by its whole path. Raises Unfit, and FileExistsError rather than to write over anything."""
    with tempfile.TemporaryDirectory() as made:
        whole = Path(made)
        manifest = _unpacked(source, whole)
        places = {one.name: _place(folder, one.path) for one in manifest.files}
        if taken := sorted(str(place) for place in places.values() if place.exists()):
            raise FileExistsError(f"{taken[0]} is there already; restore into an empty folder")
        for name, place in places.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch(mode=0o600)
            place.write_bytes((whole / name).read_bytes())
    return manifest


def _copy_journal(source: Path, target: Path) -> None:
    with sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True) as live, sqlite3.connect(target) as copy:
        live.backup(copy, pages=PAGES_AT_ONCE)
    copy.close()
    live.close()


def _files(config_file: Path, config: Config) -> list[Path]:
    """The configuration and what it names."""
    named = [config.protocols.limits, config.mqtt.ca, config.mqtt.certificate, config.mqtt.key]
    named += [config.web.mqtt_certificate, config.web.mqtt_key]
    folder = sorted(Path(config.protocols.dir).glob("*.toml")) if config.protocols.dir else []
    return [config_file, *(Path(name) for name in dict.fromkeys(named) if name), *folder]


def _unpacked(source: Path, folder: Path) -> Manifest:
    try:
        with tarfile.open(source, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (tarfile.TarError, OSError, EOFError, msgspec.DecodeError) as error:
        raise Unfit(f"{source} is no whole backup: {error}") from None
    if manifest.format != FORMAT:
        raise Unfit(f"{source} has format {manifest.format}, this program knows {FORMAT}")
    for one in manifest.files:
        if not (folder / one.name).is_file() or _digest(folder / one.name) != one.sha256:
            raise Unfit(f"{source}: {one.path} is missing or was changed")
        if Path(one.path).name == JOURNAL or one.name.startswith("000-"):
            _check_journal(source, folder / one.name)
    return manifest


def _check_journal(source: Path, journal: Path) -> None:
    with sqlite3.connect(journal) as connection:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        broken = broken_audit(connection)
    connection.close()
    if found != "ok":
        raise Unfit(f"{source}: the journal is damaged: {found}")
    if broken is not None:
        raise Unfit(f"{source}: the audit trail does not fit from row {broken} on")


def _relative(path: Path, home: Path) -> str:
    # A link is saved as the file that it leads to, under the name that the configuration knows.
    resolved = path.parent.resolve() / path.name
    return str(resolved.relative_to(home)) if resolved.is_relative_to(home) else str(resolved)


def _place(folder: Path, path: str) -> Path:
    """Inside the folder, whatever the archive says."""
    inside = Path(path)
    place = folder / "elsewhere" / inside.relative_to(inside.anchor) if inside.is_absolute() else folder / inside
    if not place.resolve().is_relative_to(folder.resolve()):
        raise Unfit(f"{path} leads out of {folder}")
    return place


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, body: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(body), int(time.time()), 0o600
    archive.addfile(entry, io.BytesIO(body))
