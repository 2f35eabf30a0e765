"""A gateway that comes back with other protocols: nothing of a stay is lost, and the record says what changed."""

from pathlib import Path

import msgspec
import pytest
from core_helpers import BOARD, CHAIR, DEMO, Story, protocol, published, rows, transitions
from msgspec.structs import replace

from gateway import service, wire
from gateway.config import Config, JournalConfig, MqttConfig, ProtocolsConfig, SiteConfig
from gateway.core.alarms import Alarm
from gateway.core.outputs import Snapshot
from gateway.core.protocol import Tier, content_hash
from gateway.core.recovery import snapshot
from gateway.core.refit import without_protocol
from gateway.journal import Journal
from gateway.protocols import FOLDER


def came_back(before: Story, protocol_: object) -> Story:
    """The next process, with another protocol of the same name."""
    crashed = before.crashed()
    return Story(protocol=protocol_, snapshots=crashed.snapshots, now_ms=crashed.now_ms)._with_boards(crashed)  # type: ignore[arg-type]


def test_a_session_is_marked_with_what_was_in_effect() -> None:
    """In its record and in what screens show, by 12 hex digits."""
    story = Story()
    story.starts()
    named = content_hash(DEMO)
    assert len(named) == 12
    [started] = [row for row in rows(story.outputs, "session") if row.fields["what"] == "started"]
    assert started.fields["protocol_hash"] == named
    assert story.state().protocol_hash == story.session().protocol_hash == named


def test_a_hash_is_of_every_number_and_of_nothing_else() -> None:
    """Two gateways with the same values say the same; one other value is another hash."""
    again = msgspec.convert(msgspec.to_builtins(DEMO), type(DEMO))
    assert content_hash(again) == content_hash(DEMO)
    assert content_hash(protocol(live_s=4)) != content_hash(DEMO)


def test_a_session_goes_on_under_a_changed_protocol_and_says_so_once() -> None:
    """Doses, alarms and acknowledgements stay."""
    before = Story()
    before.starts()
    before.doses("first")
    before.cuff(125, 104)
    before.does(wire.Acknowledge())
    changed = protocol(live_s=4)
    after = came_back(before, changed)
    [marked] = rows(after.passes(1), "session")
    assert (marked.fields["what"], marked.fields["who"], marked.audit) == ("protocol_changed", "gateway", True)
    assert marked.fields["why"] == f"protocol changed from {content_hash(DEMO)} to {content_hash(changed)}"
    assert after.session().protocol_hash == after.state().protocol_hash == content_hash(changed)
    assert after.session().phase == "dosing"
    assert after.alarm("dia_high").acknowledged_by == "A. Nurse"
    assert not rows(after.passes(5), "session")


def test_what_was_held_and_signed_by_other_numbers_counts_no_more() -> None:
    """Nobody has signed these; the record says so."""
    before = Story()
    before.becomes_ready()
    assert before.does(wire.SignOff()).ok
    after = came_back(before, protocol(live_s=4))
    outputs = after.passes(0.1)
    assert (after.session().readiness, after.session().signed_off_by, after.session().held) == ("NOT_READY", "", {})
    details = [str(row.fields.get("detail", "")) for row in rows(outputs, "readiness")]
    assert "revoked: the protocol changed" in details


def test_an_alarm_that_is_present_goes_on_by_the_limits_of_today() -> None:
    """A value that is grave now is told as grave, though the next one does not come."""
    before = Story()
    before.starts()
    before.cuff(125, 104)
    before.does(wire.Acknowledge())
    assert before.alarm("dia_high").level == "low"
    graver = Tier(level="high", reaches=104)
    rules = (replace(one, tiers=(*one.tiers[:-1], graver)) if one.id == "dia_high" else one for one in DEMO.rules)
    after = came_back(before, protocol(*rules))
    assert transitions(after.passes(0.1)) == ["level"]
    assert (after.alarm("dia_high").level, after.alarm("dia_high").sounding) == ("high", True)


def test_a_pressure_is_judged_by_a_rule_that_is_new() -> None:
    """The next one may be a quarter of an hour away."""
    before = Story()
    before.starts()
    before.cuff(125, 104)
    rules = (replace(one, id="dia_too_high") if one.id == "dia_high" else one for one in DEMO.rules)
    after = came_back(before, protocol(*rules))
    assert transitions(after.passes(0.1)) == ["cleared", "raised"]
    assert after.alarm("dia_too_high").present


def test_an_unchanged_protocol_is_not_marked() -> None:
    """A restart alone is no line of a stay."""
    before = Story()
    before.starts()
    assert not rows(before.crashed().passes(2), "session")


def test_an_alarm_whose_rule_is_gone_ends_with_a_transition() -> None:
    """It would sound for ever, seen by nobody; and whoever heard it must find out why it stopped."""
    before = Story()
    before.starts()
    before.cuff(125, 104)
    was = before.alarm("dia_high")
    assert was.sounding
    after = came_back(before, protocol(*(one for one in DEMO.rules if one.id != "dia_high")))
    outputs = after.passes(1)
    assert transitions(outputs, "dia_high") == ["cleared"]
    told = next(one for one in published(wire.AlarmTransition, outputs) if one.rule == "dia_high")
    assert (told.id, told.level, told.reason) == (was.id, was.level, "The protocol has no such rule any more")
    assert not after.state().sound
    assert after.alarm("dia_high") == Alarm()
    assert not transitions(after.passes(5), "dia_high")


def test_an_alarm_without_a_session_whose_rule_is_gone_ends_too() -> None:
    """The rules of an empty chair are the first protocol's."""
    before = Story()
    before.status(battery_pct=5.0)
    before.passes(1)
    assert before.alarm("battery_low").present
    after = came_back(before, protocol(*(one for one in DEMO.rules if one.id != "battery_low")))
    assert transitions(after.passes(1), "battery_low") == ["cleared"]


def test_a_stay_whose_protocol_is_not_there_is_found() -> None:
    """A gateway that began without it would watch nobody; boards that are alone at least sound."""
    before = Story()
    before.starts()
    kept = before.crashed().snapshots
    assert without_protocol(kept, {"demo": DEMO}) == {}
    assert without_protocol(kept, {"other": DEMO}) == {CHAIR: "demo"}
    empty = snapshot(f"chair/{CHAIR}", Story().chair(), 0, 0).body
    assert without_protocol({f"chair/{CHAIR}": empty, f"device/{BOARD}": b"x", "chair/bay-9": b"x"}, {}) == {}


def test_a_gateway_does_not_start_without_the_protocol_of_a_running_stay(tmp_path: Path) -> None:
    """It says which chair, and what is there; with the file back it starts."""
    before = Story()
    before.starts()
    journal = Journal(tmp_path / "journal.db", 10_000_000, lambda: None)
    journal.open()
    journal.start()
    journal.put([Snapshot(key=key, body=body) for key, body in before.crashed().snapshots.items()])
    journal.stop()
    (tmp_path / "protocols").mkdir()
    demo = (FOLDER / "demo.toml").read_text(encoding="utf-8")
    (tmp_path / "protocols" / "other.toml").write_text(demo.replace('"demo"', '"other"'), encoding="utf-8")
    config = Config(
        site=SiteConfig(name="clinic"),
        mqtt=MqttConfig(url="mqtt://127.0.0.1:1"),
        chairs={CHAIR: BOARD},
        journal=JournalConfig(path=str(tmp_path / "journal.db")),
        protocols=ProtocolsConfig(dir=str(tmp_path / "protocols")),
    )
    with pytest.raises(service.CannotStart, match=r"protocols that are not there: bay-1 \(demo\).*other"):
        service.run(config)
