"""Why there was an alarm, and why there was none: from a journal, through the core that judged."""

import json
from pathlib import Path

import pytest
from core_helpers import BEGIN_UTC_MS, CHAIR, Story, transitions
from msgspec.structs import replace
from replay_journals import demo, journal_of
from typer.testing import CliRunner

from gateway import wire
from gateway.cli import app
from gateway.core.outputs import Health, Publish
from gateway.replay import times


def story_of() -> Story:
    story = Story(protocol=demo())
    story.comes_up()
    story.starts()
    story.watched(5)
    return story


def run(*words: object) -> tuple[int, str]:
    answer = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TZ": "UTC"})
    return answer.exit_code, " ".join(answer.output.split())


def explained(path: Path, id_: str) -> dict[str, object]:
    code, text = run("explain", id_, "--journal", path, "--json")
    assert code == 0, text
    return json.loads(text)  # type: ignore[no-any-return]


def why(path: Path, story: Story, rule: str, back_s: float = 0) -> dict[str, object]:
    """The verdict on a rule, so long before the end of the story."""
    at = times.iso(story.utc_ms - round(back_s * 1000))
    code, text = run("explain", "--journal", path, "--chair", CHAIR, "--at", at, "--rule", rule, "--json")
    assert code == 0, text
    (verdict,) = json.loads(text)["rules"]
    return verdict  # type: ignore[no-any-return]


def test_an_alarm_is_told_from_its_first_reading_to_its_end(tmp_path: Path) -> None:
    """The first value beyond, how far its delay had come, the measured delays, who acknowledged, why it ended."""
    story = story_of()
    story.watched(11, spo2_pct=88.5)
    story.watched(2, spo2_pct=84.0)
    id_ = story.alarm("spo2_low").id
    assert story.does(wire.Acknowledge(), who="nurse-2").ok
    story.watched(8)
    path = journal_of(tmp_path / "j.sqlite", story)
    told = explained(path, id_)
    lines = {line["what"]: line for line in told["timeline"]}  # type: ignore[attr-defined]
    assert [line["what"] for line in told["timeline"]][:3] == ["beyond", "timers", "raised"]  # type: ignore[attr-defined]
    assert lines["beyond"]["value"] == 88.5
    assert f"vitals record {id_.rsplit('-', 1)[1]} of boot {story.board.boot}" in lines["beyond"]["words"]
    assert "medium: 10 s of 10 s delay" in lines["timers"]["words"]
    assert "sensor to gateway 0 ms" in lines["raised"]["words"]
    assert lines["level"]["words"].startswith("level now ")
    assert lines["acknowledged"]["who"] == "nurse-2"
    assert "because the value was inside the limit for 3 s" in lines["cleared"]["words"]
    assert (told["rule"], told["level"], told["chair"]) == ("spo2_low", "high", CHAIR)
    assert str(told["stands"]).count("demo.toml:") == 1
    code, text = run("explain", id_, "--journal", path)
    assert code == 0
    assert "acknowledged by nurse-2" in text


def test_readings_that_were_missing_while_the_delay_ran_are_counted(tmp_path: Path) -> None:
    """A delay goes on without a value, and the story says so."""
    story = story_of()
    story.watched(2, spo2_pct=88.9)
    story.watched(4, quality="motion")
    story.passes(7)
    path = journal_of(tmp_path / "j.sqlite", story)
    told = explained(path, story.alarm("spo2_low").id)
    timers = next(line for line in told["timeline"] if line["what"] == "timers")  # type: ignore[attr-defined]
    assert "of them without a value: 4 (motion)" in timers["words"]


def test_an_alarm_that_a_session_ended_says_so(tmp_path: Path) -> None:
    """The end from outside is not called a value inside its limit."""
    story = story_of()
    story.watched(3, spo2_pct=84.0)
    id_ = story.alarm("spo2_low").id
    assert story.does(wire.Abort(reason="left early")).ok
    path = journal_of(tmp_path / "j.sqlite", story)
    *_, last = explained(path, id_)["timeline"]  # type: ignore[misc]
    assert "because the session ended" in last["words"]


def test_an_alarm_without_a_session_is_told_too(tmp_path: Path) -> None:
    """A board's fault in an empty chair."""
    story = Story(protocol=demo())
    story.comes_up()
    story.status(faults=["cuff_leak"])
    story.passes(8)
    path = journal_of(tmp_path / "j.sqlite", story)
    told = explained(path, story.alarm("board_fault").id)
    timers = next(line for line in told["timeline"] if line["what"] == "timers")  # type: ignore[attr-defined]
    assert "low: 5 s of 5 s delay" in timers["words"]


def test_a_clinics_own_value_is_named_with_its_place(tmp_path: Path) -> None:
    """By the configuration: its journal, its protocols and its limits."""
    story = story_of()
    story.watched(3, spo2_pct=84.0)
    journal_of(tmp_path / "j.sqlite", story)
    (tmp_path / "clinic.toml").write_text("# Agreed.\n[rules.spo2_low]\nmedium = { below = 91 }\n")
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[site]\nname = "clinic"\n[mqtt]\nurl = "mqtt://127.0.0.1"\n[chairs]\nbay-1 = "cb-000001"\n'
        '[journal]\npath = "j.sqlite"\n[protocols]\ndefault = "demo"\nlimits = "clinic.toml"\n'
    )
    code, text = run("explain", story.alarm("spo2_low").id, "--config", config)
    assert code == 0, text
    assert "medium below 91 %" in text
    assert "medium.below = 91 in" in text
    assert "clinic.toml:3" in text
    assert "The session was judged by other numbers of demo" in text


def test_numbers_that_would_not_raise_it_today_are_no_reason_to_tell_nothing(tmp_path: Path) -> None:
    """What was recorded is told all the same, and that the replay does not agree."""
    story = Story(protocol=replace(demo(), rules=tuple(_narrow(rule) for rule in demo().rules)))
    story.comes_up()
    story.starts()
    story.watched(30, spo2_pct=94.0)
    path = journal_of(tmp_path / "j.sqlite", story)
    told = explained(path, story.alarm("spo2_low").id)
    assert "Replayed with today's numbers it is not raised" in str(told["notes"])
    assert [line["what"] for line in told["timeline"]] == ["beyond", "raised"]  # type: ignore[attr-defined]


def _narrow(rule: object) -> object:
    if rule.id != "spo2_low":  # type: ignore[attr-defined]
        return rule
    tiers = (replace(rule.tiers[0], below=95), *rule.tiers[1:])  # type: ignore[attr-defined]
    return replace(rule, tiers=tiers)  # type: ignore[type-var]


def test_an_alarm_of_the_whole_site_is_told_from_the_record(tmp_path: Path) -> None:
    """No chair and no protocol has it: its changes are told."""
    story = story_of()
    for _ in range(150):
        story.skips(0.1)
        story.outputs += story.engine.tick(story.now_ms, story.utc_ms, Health(journal="slow"))
    path = journal_of(tmp_path / "j.sqlite", story)
    changes = [o.message for o in story.outputs if isinstance(o, Publish)]
    id_ = next(one.id for one in changes if isinstance(one, wire.AlarmTransition) and one.rule == "journal")
    told = explained(path, id_)
    assert (told["chair"], told["rule"], told["numbers"]) == ("", "journal", [])
    assert [line["what"] for line in told["timeline"]] == ["raised"]  # type: ignore[attr-defined]
    assert run("explain", id_, "--journal", path)[0] == 0


def test_an_unknown_alarm_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """Exit 2: an id is long, and one letter is easily lost."""
    story = story_of()
    story.watched(3, spo2_pct=84.0)
    id_ = story.alarm("spo2_low").id
    path = journal_of(tmp_path / "j.sqlite", story)
    code, text = run("explain", id_[:-1], "--journal", path)
    assert code == 2
    assert f"did you mean {id_}" in text.replace("\n", "")
    code, text = run("explain", "x", "--journal", path)
    assert code == 2
    assert id_ in text


def test_a_value_that_waits_is_told_with_its_timer(tmp_path: Path) -> None:
    """Why there was no alarm yet: so many seconds of its delay."""
    story = story_of()
    story.watched(7, spo2_pct=89.5)
    path = journal_of(tmp_path / "j.sqlite", story)
    verdict = why(path, story, "spo2_low", back_s=1)
    assert verdict["because"] == "waits"
    assert "5 s of 10 s delay" in str(verdict["words"])
    assert why(path, story, "pulse_low")["because"] == "inside"
    assert why(path, story, "pulse_low")["value"] == 70.0


@pytest.mark.parametrize(
    ("quality", "words"), [("no_finger", "not measured: no finger"), ("motion", "not measured: motion")]
)
def test_a_value_that_was_not_measured_is_not_called_inside(tmp_path: Path, quality: str, words: str) -> None:
    """With the board's own reason."""
    story = story_of()
    story.watched(5, quality=quality)
    path = journal_of(tmp_path / "j.sqlite", story)
    assert why(path, story, "spo2_low")["words"] == words
    assert why(path, story, "sys_high")["words"] == "not measured: no cuff measurement yet"


def test_a_silent_chair_has_no_old_number(tmp_path: Path) -> None:
    """What was last heard is not what is: the words say for how long nothing came."""
    story = story_of()
    story.passes(18)
    path = journal_of(tmp_path / "j.sqlite", story)
    assert why(path, story, "spo2_low", back_s=10)["words"] == "not measured: no vitals for 8 s"


def test_what_kept_an_alarm_silent_is_told(tmp_path: Path) -> None:
    """Acknowledged, paused, away: the alarm was there, and why it did not sound."""
    story = story_of()
    story.watched(6, spo2_pct=84.0)
    assert story.does(wire.Acknowledge(), who="nurse-2").ok
    story.watched(2, spo2_pct=84.0)
    assert story.does(wire.Away(minutes=5)).ok
    story.watched(25, quality="no_finger")
    path = journal_of(tmp_path / "j.sqlite", story)
    seen = why(path, story, "spo2_low", back_s=26)
    assert seen["because"] == "alarm"
    assert "acknowledged by nurse-2" in str(seen["words"])
    assert seen["alarm"] == story.alarm("spo2_low").id
    away = why(path, story, "finger_off")
    assert "suppressed by away until 0" in str(away["words"])


def test_a_rule_that_was_not_judged_says_when_it_would_be(tmp_path: Path) -> None:
    """Without a session, or in another phase."""
    story = Story(protocol=demo())
    story.comes_up()
    story.watched(5, spo2_pct=80.0)
    path = journal_of(tmp_path / "j.sqlite", story)
    assert why(path, story, "spo2_low")["words"] == "not judged without a session"
    assert why(path, story, "nurse_call")["because"] == "inside"


def test_a_moment_when_the_gateway_was_away_is_not_explained_by_what_was_before(tmp_path: Path) -> None:
    """Nothing was judged then, and that is the answer."""
    before = story_of()
    before.watched(3)
    after = before.crashed(away_s=30)
    after.comes_up()
    after.watched(12)
    path = journal_of(tmp_path / "j.sqlite", before, after)
    at = times.iso(before.utc_ms + 15_000)
    code, text = run("explain", "--journal", path, "--chair", CHAIR, "--at", at)
    assert code == 2
    assert "the gateway did not run then, since 15 s" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give an alarm's id, or --chair and --at"),
        (("--chair", CHAIR, "--at", "noon"), "'noon' is no time; allowed are 14:05"),
        (("--chair", CHAIR, "--at", "2020-01-01T00:00Z"), "nothing of 2020-01-01"),
        (("--chair", "bay-9", "--at", "08:00Z"), "no chair 'bay-9'; there are bay-1"),
        (("--at", times.iso(BEGIN_UTC_MS + 4000), "--rule", "spo2"), "demo has no rule 'spo2'; it has spo2_low"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """Exit 2 and one sentence."""
    path = journal_of(tmp_path / "j.sqlite", story_of())
    code, text = run("explain", "--journal", path, *words)
    assert code == 2
    assert says in text


def test_a_time_of_day_is_of_the_last_day_that_had_it() -> None:
    """Local, or UTC with a Z; the day before if it is later than the journal's end."""
    near_ms = 1_772_352_000_000  # 2026-03-01 08:00 UTC
    assert times.iso(times.parsed("07:59:30Z", near_ms)) == "2026-03-01T07:59:30.000Z"
    assert times.iso(times.parsed("08:01Z", near_ms)) == "2026-02-28T08:01:00.000Z"
    assert times.iso(times.parsed("2026-03-01T09:00+01:00", near_ms)) == "2026-03-01T08:00:00.000Z"


def test_every_what_of_a_transition_has_words() -> None:
    """A change that the core learns later is told by more than its name."""
    from gateway.core.alarm import What  # noqa: PLC0415
    from gateway.explain.story import OVER  # noqa: PLC0415

    assert set(OVER) == set(What.__args__)  # type: ignore[attr-defined]
    assert transitions([]) == []
