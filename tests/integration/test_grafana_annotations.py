"""Alarms, readiness and sessions as annotations: each once, with its own begin and end, whatever fails on the way."""

import itertools
import random
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from grafana_double import GrafanaDouble
from grafana_queries import DASHBOARDS, load
from msgspec.structs import replace
from servers import wait_until

from gateway import grafana as grafana_module
from gateway import protocols
from gateway.clock import utc_ms
from gateway.config import GrafanaConfig
from gateway.core import rows
from gateway.core.alarm import Alarm, Change
from gateway.core.chair_state import AlarmChanged
from gateway.core.outputs import Row
from gateway.grafana import Annotator
from gateway.journal import Journal
from gateway.journal_reader import JournalReader

RESTARTS = 50


class Rig:
    """A journal that goes on, and an annotator and a Grafana that come and go."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self.grafana = GrafanaDouble(secrets.token_hex(8))
        self.grafana.start()
        self.number = 0
        self.expected: dict[str, tuple[int, int]] = {}
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.path, 10**9, lambda: None)
        self.journal.open()
        self.journal.start()
        config = GrafanaConfig(url=self.grafana.url, token=self.grafana.token, live=True)
        self.annotator = Annotator(self.journal, "clinic", config, random.Random(1))
        self.annotator.start()

    def close(self) -> None:
        self.annotator.stop()
        self.journal.stop()

    def alarm(
        self,
        id_: str,
        what: str,
        at_ms: int,
        lasted_ms: int = 0,
        level: str = "medium",
        chair: str = "bay-1",
        session: str = "",
    ) -> None:
        fields: dict[str, float | str] = {"id": id_, "what": what, "reason": "Oxygen saturation is low", "state": what}
        fields["session"] = session
        if what == "raised":
            self.expected[id_] = (at_ms, at_ms)
        else:
            fields["lasted_ms"] = float(lasted_ms)
        if what in ("cleared", "latched"):
            self.expected[id_] = (at_ms - lasted_ms, at_ms)
        self.put("alarm", at_ms, fields, {"rule": "spo2_low", "priority": level}, chair)

    def put(
        self,
        measurement: str,
        at_ms: int,
        fields: dict[str, float | str],
        tags: dict[str, str] | None = None,
        chair: str = "bay-1",
    ) -> None:
        self.number += 1
        self.journal.put(
            [
                Row(
                    measurement=measurement,
                    at_ms=at_ms,
                    device="cb-1",
                    chair=chair,
                    fields=fields,
                    tags=tags or {},
                    urgent=True,
                )
            ]
        )

    def told(self) -> int:
        with JournalReader(self.path) as reader:
            return reader.mark(grafana_module.MARK)

    def all_told(self, within_s: float = 30.0) -> None:
        wait_until(lambda: self.told() >= self.number, "everything to be told", within_s)

    def regions(self) -> dict[str, list[tuple[int, int]]]:
        """By alarm id the begin and end of each annotation that there is."""
        found: dict[str, list[tuple[int, int]]] = {}
        for one in self.grafana.tagged("rule:spo2_low"):
            (key,) = [tag.removeprefix("id:") for tag in one["tags"] if tag.startswith("id:")]
            found.setdefault(key, []).append((one["time"], one["timeEnd"]))
        return found


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for name, value in {"POLL_S": 0.01, "RETRY_S_MIN": 0.01, "RETRY_S_MAX": 0.05, "RETRY_REFUSED_S": 0.05}.items():
        monkeypatch.setattr(grafana_module, name, value)
    made = Rig(tmp_path)
    yield made
    made.close()
    made.grafana.stop()


def test_an_alarm_is_a_region_from_raise_to_end(rig: Rig) -> None:
    """It is there while the alarm lasts, and gets its end when it clears; tags say chair, rule, level and id."""
    rig.alarm("a-1", "raised", 1_000_000)
    rig.all_told()
    assert rig.regions() == {"a-1": [(1_000_000, 1_000_000)]}
    rig.alarm("a-1", "level", 1_005_000, 5_000, level="high")
    rig.alarm("a-1", "cleared", 1_060_000, 60_000, level="high")
    rig.all_told()
    assert rig.regions() == {"a-1": [(1_000_000, 1_060_000)]}
    (one,) = rig.grafana.tagged("id:a-1")
    assert {"chairside", "site:clinic", "chair:bay-1", "rule:spo2_low", "level:high"} <= set(one["tags"])
    assert one["text"] == "Oxygen saturation is low"


def test_a_page_finds_the_regions_of_what_is_chosen(rig: Rig) -> None:
    """Whatever chair or session is chosen: its alarms in the colours of their levels, and nobody else's. Each choice
    that a page offers is asked for as Grafana does."""
    alarms = {f"{chair}-{level}": (chair, level) for chair in ("bay-1", "bay-2") for level in ("high", "medium", "low")}
    for number, (id_, (chair, level)) in enumerate(alarms.items()):
        rig.alarm(id_, "raised", 1_000 + number, level=level, chair=chair, session=f"s-{chair}")
    rig.put("session", 2_000, {"what": "started", "who": "nurse", "session": "s-bay-1"})
    rig.all_told()
    offered = {"site": ["clinic"], "chair": ["bay-1", "bay-2"], "session": ["s-bay-1", "s-bay-2"]}
    asked = 0
    for dashboard in map(load, DASHBOARDS):
        several = {variable["name"]: variable.get("multi", False) for variable in dashboard["templating"]["list"]}
        for annotation in dashboard.get("annotations", {}).get("list", []):
            if annotation["datasource"]["uid"] != "-- Grafana --":
                continue
            choices = [
                [(name, values) for values in [[one] for one in offered[name]] + [offered[name]] * several[name]]
                for name in offered
                if name in several
            ]
            for chosen in map(dict, itertools.product(*choices)):
                chairs = [session.removeprefix("s-") for session in chosen.get("session", [])] or chosen["chair"]
                found = found_regions(rig.grafana, annotation["target"], chosen)
                level = annotation["name"].removeprefix("Alarms, ")
                own = {phase for phase in found if phase.startswith("phase-")} if level == "Phases" else {
                    f"{chair}-{level}" for chair in chairs
                }  # fmt: skip
                assert found == own, f"{dashboard['title']}, {chosen}"
                assert level != "Phases" or len(found) == chairs.count("bay-1")
                asked += 1
    # Three levels and phases; a chair's page offers two chairs; a session's one, the other or both, and two sessions.
    assert asked == 4 * (2 + 3 * 2)


def found_regions(grafana: GrafanaDouble, target: dict, chosen: dict[str, list[str]]) -> set[str]:
    """Ids of what Grafana finds for an annotation query: a variable of several values splits its tag into as many."""
    tags: list[str] = []
    for tag in target["tags"]:
        name = next((name for name in chosen if f"${name}" in tag), "")
        tags += tag.replace(f"${name}", "\n".join(chosen[name])).split("\n") if name else [tag]
    given = [("tags", tag) for tag in tags]
    query = urlencode([*given, ("matchAny", str(target["matchAny"]).lower()), ("limit", target["limit"])])
    headers = {"Authorization": f"Bearer {grafana.token}"}
    status, found = grafana.answer("GET", f"/api/annotations?{query}", headers, b"")
    assert status == 200
    return {tag.removeprefix("id:") for one in found for tag in one["tags"] if tag.startswith("id:")}


def test_a_latched_alarm_ended_when_it_latched(rig: Rig) -> None:
    """Its region and its one duration end there, also when somebody clears it ten minutes later."""
    (rule,) = [rule for rule in protocols.load_all()["demo"].rules if rule.id == "spo2_low"]
    active = Alarm(condition="active", level="high", id="a-1", raised_mono_ms=1_000, acknowledged_by="A. Nurse")
    latched = replace(active, condition="latched")
    changes = [
        Change(rule=rule, what="raised", before=Alarm(), after=active, at_mono_ms=1_000),
        Change(rule=rule, what="latched", before=active, after=latched, at_mono_ms=24_000),
        Change(rule=rule, what="cleared", before=latched, after=Alarm(), at_mono_ms=640_000),
    ]
    for change in changes:
        told = AlarmChanged(change=change, session="s-1")
        row = rows.of_transition(rows.transition(told, "run", "clinic", "bay-1", "cb-1", change.at_mono_ms))
        assert ("lasted_ms" in row.fields, "attended" in row.fields) == (change.what == "latched",) * 2
        rig.number += 1
        rig.journal.put([row])
    rig.all_told()
    assert rig.regions() == {"a-1": [(1_000, 24_000)]}


def test_doses_sessions_and_readiness_are_marks(rig: Rig) -> None:
    """What staff marked and what became of readiness stand at their times, each once."""
    rig.put("session", 1_000, {"what": "started", "who": "nurse", "session": "s-1"})
    rig.put("session", 2_000, {"what": "dose_first", "who": "nurse", "session": "s-1"})
    rig.put("session", 2_500, {"what": "observed", "who": "nurse", "session": "s-1"})
    rig.put("readiness", 3_000, {"state": "CRITERIA_MET", "detail": "every criterion is met"}, {"criterion": "overall"})
    rig.put("readiness", 3_000, {"verdict": "met", "detail": ""}, {"criterion": "gait"})
    rig.all_told()
    marks = [one for one in rig.grafana.annotations.values() if "phase" not in one["tags"]]
    assert sorted((one["time"], one["text"]) for one in marks) == [
        (1_000, "started, nurse"),
        (2_000, "dose first, nurse"),
        (3_000, "CRITERIA_MET: every criterion is met"),
    ]


def test_a_phase_ends_in_another_chair(rig: Rig) -> None:
    """The patient was moved: the phase that began in one chair ends in the other."""
    for what, at_ms in (("started", 1_000), ("dose_first", 2_000), ("dose_end", 5_000), ("ended", 9_000)):
        chair = "bay-1" if at_ms < 3_000 else "bay-2"
        rig.put("session", at_ms, {"what": what, "who": "nurse", "session": "s-1"}, chair=chair)
    rig.all_told()
    ends = sorted((one["time"], one["timeEnd"]) for one in rig.grafana.tagged("phase"))
    assert ends == [(1_000, 2_000), (2_000, 5_000), (5_000, 9_000)]


def test_vitals_are_gone_through_once(rig: Rig) -> None:
    """There may be millions between two alarms; what comes behind them is told."""
    for at_ms in range(1_000, 1_500):
        rig.put("vitals", at_ms, {"spo2_pct": 97.0})
    wait_until(lambda: rig.annotator._upto >= rig.number, "the vitals to be behind", 10.0)
    rig.alarm("a-1", "raised", 2_000)
    rig.all_told()
    assert rig.regions() == {"a-1": [(2_000, 2_000)]}


def test_phases_are_regions_one_after_the_other(rig: Rig) -> None:
    """From each mark to the next, the last to the end of the session; also if a crash makes the gateway tell again."""
    stay = {"started": 1_000, "dose_first": 2_000, "dose_end": 5_000, "ended": 9_000}
    for what, at_ms in stay.items():
        rig.put("session", at_ms, {"what": what, "who": "nurse", "session": "s-1"})
        rig.all_told()
        rig.close()
        forget_the_last(rig)
        rig.open()
    rig.put("session", 10_000, {"what": "started", "who": "nurse", "session": "s-2"})
    rig.all_told()
    assert sorted((one["time"], one["timeEnd"], one["text"]) for one in rig.grafana.tagged("phase")) == [
        (1_000, 2_000, "before the dose"),
        (2_000, 5_000, "dosing"),
        (5_000, 9_000, "recovery"),
        (10_000, 10_000, "before the dose"),
    ]


@pytest.mark.parametrize("mode", ["unauthorised", "forbidden", "limited", "broken", "old"])
def test_nothing_is_missing_after_grafana_refused(rig: Rig, mode: str) -> None:
    """What it would not have is told when it is well again, in order, each once; the state says how it is."""
    rig.grafana.mode = mode
    rig.alarm("a-1", "raised", 1_000)
    seen = rig.grafana.requests
    wait_until(lambda: rig.grafana.requests > seen + 2, "several tries")
    assert rig.annotator.state == ("down" if mode in ("limited", "broken") else "refused")
    rig.alarm("a-1", "cleared", 9_000, 8_000)
    rig.grafana.mode = "ok"
    rig.all_told()
    assert rig.regions() == {"a-1": [(1_000, 9_000)]}
    wait_until(lambda: rig.annotator.state == "ok", "the state")


def test_one_that_grafana_will_not_have_holds_up_nothing(rig: Rig) -> None:
    """A 400 is never tried again for ever."""
    rig.grafana.refused_texts = {"started, nurse"}
    rig.put("session", 1_000, {"what": "started", "who": "nurse"})
    rig.alarm("a-1", "raised", 2_000)
    rig.all_told()
    assert rig.regions() == {"a-1": [(2_000, 2_000)]}


def test_a_grafana_that_hangs_does_not_hold_the_gateway(rig: Rig) -> None:
    """The journal takes and commits while a request waits for its answer."""
    rig.grafana.mode = "hangs"
    rig.alarm("a-1", "raised", 1_000)
    wait_until(lambda: rig.grafana.requests >= 1, "a request")
    position = rig.journal.put([Row(measurement="gateway", at_ms=1, device="", chair="", fields={"x": 1.0})])
    wait_until(lambda: rig.journal.take().position >= position, "the commit")


def test_live_vitals_are_streamed_and_old_ones_are_not(rig: Rig) -> None:
    """A stream shows what is of now; nothing that waited is sent as if it were."""
    now_ms = utc_ms()
    rig.put("vitals", now_ms - 60_000, {"spo2_pct": 71.0, "quality": "good"})
    rig.put("vitals", now_ms, {"spo2_pct": 97.0, "quality": "good"})
    wait_until(lambda: rig.grafana.pushed, "a push")
    assert [text.split(" ")[:2] for text in rig.grafana.pushed] == [["vitals,chair=bay-1", "spo2_pct=97"]]


def test_restarts_in_any_order_leave_each_alarm_exactly_one_region(rig: Rig) -> None:
    """Gateway and Grafana restart fifty times in a random order while alarms come and go; a gateway that is killed
    between telling and marking tells again."""
    chance = random.Random(7)
    lasting: dict[str, int] = {}
    for step in range(RESTARTS):
        at_ms = 1_000_000 + step * 10_000
        rig.alarm(f"a-{step}", "raised", at_ms)
        lasting[f"a-{step}"] = at_ms
        for id_ in [one for one in lasting if chance.random() < 0.5]:
            began_ms = lasting.pop(id_)
            rig.alarm(id_, chance.choice(["cleared", "latched"]), at_ms + 5_000, at_ms + 5_000 - began_ms)
        if chance.random() < 0.5:
            rig.close()
            if chance.random() < 0.5:
                forget_the_last(rig)
            rig.open()
        else:
            rig.grafana.stop()
            rig.grafana.start()
    rig.all_told(60.0)
    assert rig.regions() == {id_: [span] for id_, span in rig.expected.items()}


def forget_the_last(rig: Rig) -> None:
    """As after `kill -9`: Grafana was told, and the mark did not reach the disk."""
    import sqlite3  # noqa: PLC0415 - only here the journal is written behind its back

    with sqlite3.connect(rig.path) as connection:
        connection.execute("UPDATE marks SET value = max(0, value - 3) WHERE name = ?", (grafana_module.MARK,))


def test_a_damaged_row_does_not_hold_up_those_behind_it(rig: Rig) -> None:
    """One that is no JSON any more, and one that lacks its id, are left out."""
    rig.annotator.stop()
    rig.alarm("a-1", "raised", 1_000)
    rig.alarm("a-2", "raised", 2_000)
    rig.alarm("a-3", "raised", 3_000)
    rig.journal.stop()
    with closing(sqlite3.connect(rig.path)) as file, file:
        file.execute("UPDATE rows SET fields = CAST(X'7B22FF' AS TEXT) WHERE fields LIKE '%a-1%'")
        file.execute('UPDATE rows SET fields = \'{"what": "raised", "reason": ""}\' WHERE fields LIKE \'%a-2%\'')
    rig.open()
    rig.all_told()
    assert rig.regions() == {"a-3": [(3_000, 3_000)]}
