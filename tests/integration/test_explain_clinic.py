"""The real firmware's stay in a real journal: replayed it is the same stay, and each alarm can be explained."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.core.outputs import Row
from gateway.journal_file import Batch, JournalFile
from gateway.replay import journal
from simulators.clinic import gateway, scenario
from simulators.clinic.journal import VirtualJournal
from simulators.clinic.run import run


def recorded(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a scenario whose gateway writes what it commits into a journal's file too; gives the session."""
    file = JournalFile(path, 1_000_000_000)
    file.open()

    class Written(VirtualJournal):
        def _commit(self, due_us: int) -> None:
            waiting = list(self._waiting) if self._commit_us == due_us else []
            super()._commit(due_us)
            file.commit(Batch(rows=[entry for entry in waiting if isinstance(entry, Row)]))

    monkeypatch.setattr(gateway, "VirtualJournal", Written)
    run(name, scenario.load(scenario.find(name)))
    file.release()
    with journal.opened(path) as reader:
        [stay] = journal.stays(reader)
    return stay.session


def asked(*words: object) -> str:
    answer = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    assert answer.exit_code == 0, answer.output
    return answer.output


def check(path: Path, session: str, tmp_path: Path) -> None:
    """The replay agrees, draws itself, and every alarm of the record is told to its end."""
    picture = tmp_path / "stay.svg"
    assert "agrees with what the gateway recorded" in asked("replay", path, "--session", session, "--svg", picture)
    assert picture.read_text().count("<polyline") >= 2
    with journal.opened(path) as reader:
        rows = reader.rows("alarm", "bay-1", 0)
    ids = list(dict.fromkeys(str(row.fields["id"]) for row in rows))
    assert ids
    for id_ in ids:
        told = json.loads(asked("explain", id_, "--journal", path, "--json"))
        changes = [row.fields["what"] for row in rows if row.fields["id"] == id_]
        assert [line["what"] for line in told["timeline"]] == ["beyond", "timers", *changes]
        assert told["notes"] == []


def test_a_desaturation_of_the_real_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the finger's light to the words."""
    path = tmp_path / "j.sqlite"
    check(path, recorded("desaturation", path, monkeypatch), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["gateway-crash", "wifi-loss"])
def test_a_stay_with_an_outage(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that died and a link that was gone: resent records, a restart, a silence."""
    path = tmp_path / "j.sqlite"
    check(path, recorded(name, path, monkeypatch), tmp_path)
