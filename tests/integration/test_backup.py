"""A backup of a gateway that works, and the way back from it."""

import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.clock import utc_ms
from gateway.core.outputs import Row, Snapshot
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

CHAIRSIDE = Path(sys.executable).parent / "chairside"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHAIRSIDE, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A configured site whose journal is written all the time."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "keys").mkdir()
    (folder / "keys" / "ca.pem").write_text("an authority\n")
    (folder / "gateway.toml").write_text(
        '[site]\nname = "clinic"\n[mqtt]\nurl = "mqtts://broker"\nca = "keys/ca.pem"\n[chairs]\nbay-1 = "cb-000001"\n'
        '[journal]\npath = "journal.db"\n'
    )
    journal = Journal(folder / "journal.db", 10**9, lambda: None)
    journal.open()
    journal.start()
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(journal, stop))
    writer.start()
    yield folder
    stop.set()
    writer.join()
    journal.stop()


def write(journal: Journal, stop: threading.Event) -> None:
    """Staff actions without end, each of which goes into the audit chain, with the state they led to."""
    number = 0
    while not stop.wait(0.005):
        number += 1
        fields: dict[str, float | str] = {"what": "observed", "who": "nurse", "number": float(number)}
        row = Row(measurement="session", at_ms=utc_ms(), device="cb-1", chair="bay-1", fields=fields, audit=True)
        journal.put([row, Snapshot(key="chair/bay-1", body=str(number).encode())])


def test_a_restored_site_is_what_it_was(site: Path, tmp_path: Path) -> None:
    """Journal of one moment with its audit chain whole, configuration and keys; nobody else may read the archive."""
    made = run(site, "backup", "site.backup")
    assert made.returncode == 0, made.stderr
    assert (site / "site.backup").stat().st_mode & 0o077 == 0
    back = run(site, "restore", "site.backup", str(tmp_path / "new"))
    assert back.returncode == 0, back.stderr
    for name in ("gateway.toml", "keys/ca.pem"):
        assert (tmp_path / "new" / name).read_bytes() == (site / name).read_bytes()
    journal = Journal(tmp_path / "new" / "journal.db", 10**9, lambda: None)
    recovered = journal.open()
    with JournalReader(tmp_path / "new" / "journal.db") as reader:
        assert reader.broken_audit() is None
        last = reader.after(0, 100_000)[-1]
    # Row and state of one moment, not of two.
    assert int(recovered.snapshots["chair/bay-1"]) == last.fields["number"]


def test_a_restore_overwrites_nothing(site: Path) -> None:
    """Where something is, it stays, and the sentence says what to do."""
    run(site, "backup", "site.backup")
    before = (site / "gateway.toml").read_bytes()
    refused = run(site, "restore", "site.backup", ".")
    assert refused.returncode == 1
    assert "empty folder" in " ".join(refused.stderr.split())
    assert (site / "gateway.toml").read_bytes() == before


@pytest.mark.parametrize("how", ["cut", "changed", "foreign"])
def test_an_archive_that_is_not_whole_restores_nothing(site: Path, tmp_path: Path, how: str) -> None:
    """Cut short, with a changed file, or something else altogether: refused before a file is written."""
    run(site, "backup", "site.backup")
    archive = site / "site.backup"
    if how == "cut":
        archive.write_bytes(archive.read_bytes()[:-200])
    elif how == "foreign":
        archive.write_bytes(b"not an archive")
    else:
        change(archive, tmp_path)
    refused = run(site, "restore", "site.backup", str(tmp_path / "new"))
    assert refused.returncode == 1, refused.stdout
    assert refused.stderr.strip()
    assert not (tmp_path / "new").exists()


def change(archive: Path, scratch: Path) -> None:
    """The configuration inside gets another broker."""
    with tarfile.open(archive) as old:
        old.extractall(scratch / "inside", filter="data")
        names = old.getnames()
    (config,) = [name for name in names if name.endswith("gateway.toml")]
    path = scratch / "inside" / config
    path.write_text(path.read_text().replace("broker", "elsewhere"))
    with tarfile.open(archive, "w:gz") as new:
        for name in names:
            new.add(scratch / "inside" / name, name)


def test_a_linked_certificate_comes_back_as_a_file(site: Path, tmp_path: Path) -> None:
    """The archive has what the link led to, and the configuration finds it under the name that it knows."""
    (site / "keys" / "ca.pem").rename(tmp_path / "real.pem")
    (site / "keys" / "ca.pem").symlink_to(tmp_path / "real.pem")
    assert run(site, "backup", "site.backup").returncode == 0
    back = run(site, "restore", "site.backup", str(tmp_path / "new"))
    assert back.returncode == 0, back.stderr
    assert not (tmp_path / "new" / "keys" / "ca.pem").is_symlink()
    assert (tmp_path / "new" / "keys" / "ca.pem").read_text() == "an authority\n"


def test_files_of_one_name_from_two_folders_stay_two(site: Path, tmp_path: Path) -> None:
    """What was elsewhere comes back by its whole path, each with its own contents."""
    outside = {tmp_path / folder / "tls.pem": f"of {folder}\n" for folder in ("authority", "client")}
    for path, text in outside.items():
        path.parent.mkdir()
        path.write_text(text)
    authority, client = outside
    config = site / "gateway.toml"
    named = f'ca = "{authority}"\ncertificate = "{client}"\nkey = "keys/ca.pem"'
    config.write_text(config.read_text().replace('ca = "keys/ca.pem"', named))
    assert run(site, "backup", "site.backup").returncode == 0
    back = run(site, "restore", "site.backup", str(tmp_path / "new"))
    assert back.returncode == 0, back.stderr
    for path, text in outside.items():
        assert (tmp_path / "new" / "elsewhere" / path.relative_to("/")).read_text() == text


@pytest.mark.parametrize("name", ["gateway.toml", "journal.db", "keys/ca.pem"])
def test_a_backup_never_replaces_what_it_saves(site: Path, name: str) -> None:
    """A target that is one of the sources is refused, and the file is what it was."""
    before = (site / name).stat().st_ino
    refused = run(site, "backup", name)
    assert refused.returncode == 1
    assert "one of the files to save" in " ".join(refused.stderr.split())
    assert (site / name).stat().st_ino == before
