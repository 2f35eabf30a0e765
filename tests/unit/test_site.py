"""One cause for many chairs is one alarm; and what the gateway itself suffers from."""

import pytest
from core_helpers import BEGIN_MS, DEMO, SITE, Story, only, published, rows, transitions
from msgspec.structs import replace

from gateway import wire
from gateway.core import site
from gateway.core.alarms import Alarm
from gateway.core.chair_state import ChairState
from gateway.core.outputs import Health, Output, Publish, Snapshot
from gateway.core.session import Session
from gateway.core.site import GROUP, SiteLimits, SiteState

WELL = Health(utc_trusted=True)
LIMITS = SiteLimits()
NAMES = tuple(f"bay-{n}" for n in range(1, 7))
DO_TOPIC = wire.gateway_topic(SITE, "do")


# ---- the decision alone -------------------------------------------------------------------------------------


def chair(began_s: float | None = None, level: wire.Level = "medium", *, session: bool = True) -> ChairState:
    """A chair whose session began so long before BEGIN_MS, silent since then, or not silent at all."""
    at_ms = BEGIN_MS - round((began_s or 0) * 1000)
    alarm = Alarm() if began_s is None else Alarm(condition="active", level=level, id=f"silence-{at_ms}")
    stay = Session(id="s-1", alias="blue", protocol="demo", started_mono_ms=at_ms, phase_mono_ms=at_ms)
    return ChairState(idle_protocol="demo", session=stay if session else None, alarms={"silence": alarm})


def group(chairs: dict[str, ChairState], state: SiteState | None = None, now_ms: int = BEGIN_MS) -> SiteState:
    return site.step(LIMITS, state or SiteState(), chairs, WELL, "run-1", now_ms)[0]


def six(*silent: ChairState) -> dict[str, ChairState]:
    """Six chairs in session, the first of them silent."""
    return dict(zip(NAMES, [*silent, *[chair()] * (6 - len(silent))], strict=True))


@pytest.mark.parametrize(
    ("silent", "raised"),
    [
        ([], False),
        ([chair(10)] * 2, False),
        ([chair(10)] * 3, True),
        ([chair(10), chair(18), chair(25)], True),
        ([chair(10), chair(18), chair(25.1)], False),
        ([chair(10), chair(10), chair(600)], False),
        ([chair(10), chair(10), chair(10, session=False)], False),
    ],
    ids=["none", "two", "three", "15 s apart", "over 15 s apart", "one of long ago", "one without a session"],
)
def test_many_together_are_one(silent: list[ChairState], raised: bool) -> None:
    """Three of six that fell silent within 15 s of each other are one alarm; fewer, or others, are not."""
    after = group(six(*silent))
    assert after.alarms[GROUP].present == raised
    assert bool(after.since_mono_ms) == raised


@pytest.mark.parametrize(("sessions", "raised"), [(6, True), (7, False)])
def test_the_share_counts_those_with_a_session(sessions: int, raised: bool) -> None:
    """Three of six are half; three of seven are not. A chair without a session is owed no reading."""
    chairs = {f"bay-{n}": chair() for n in range(sessions)} | {f"free-{n}": chair(session=False) for n in range(9)}
    chairs |= {f"bay-{n}": chair(10) for n in range(3)}
    assert group(chairs).alarms[GROUP].present == raised


def test_the_group_is_as_urgent_as_the_gravest() -> None:
    """It rises with its gravest member, which voids an acknowledgement, and falls with it."""
    state = group(six(*[chair(10)] * 3))
    assert state.alarms[GROUP].level == "medium"
    state, changes, done = site.act(LIMITS, state, WELL, deed(wire.Acknowledge()), "", BEGIN_MS)
    assert (done.ok, [change.what for change in changes]) == (True, ["acknowledged"])
    state = group(six(chair(30, "high"), chair(10), chair(10)), state)
    assert (state.alarms[GROUP].level, state.alarms[GROUP].sounding) == ("high", True)


def test_who_falls_silent_later_is_no_member() -> None:
    """Within the window a chair joins the group that sounds; later, or once it was acknowledged or paused, the chair
    has an alarm of its own."""
    state = group(six(*[chair(10)] * 3))
    assert set(group(six(*[chair(10)] * 3, chair(5)), state).since_mono_ms) == set(NAMES[:4])
    later = six(*[chair(10)] * 3, chair(-6))
    assert set(group(later, state, BEGIN_MS + 20_000).since_mono_ms) == set(NAMES[:3])
    for action in (wire.Acknowledge(), wire.PauseAudio()):
        answered, _, _ = site.act(LIMITS, state, WELL, deed(action), "", BEGIN_MS)
        assert set(group(six(*[chair(10)] * 3, chair(5)), answered).since_mono_ms) == set(NAMES[:3])


def test_the_last_member_is_left_alone_after_a_grace() -> None:
    """Boards come back one after the other: the group waits 5 s for the last one, which then sounds by itself."""
    state = group(six(*[chair(20)] * 3))
    one = six(chair(20))
    state = group(one, state)
    assert state.alarms[GROUP].condition == "clearing"
    assert site.carried(group(one, state, BEGIN_MS + 4_900)) is not None
    assert site.carried(group(one, state, BEGIN_MS + 5_000)) is None


def test_the_group_ends_when_all_are_heard() -> None:
    """At once, and it says so."""
    state, changes = site.step(LIMITS, group(six(*[chair(20)] * 6)), six(), WELL, "run-1", BEGIN_MS)
    assert [(change.what, change.reason) for change in changes] == [("cleared", "every chair is heard again")]
    assert state.since_mono_ms == {}


@pytest.mark.parametrize(
    ("suffers", "rule", "after_s", "level"),
    [
        ({"journal": "failed"}, "journal", 10, "medium"),
        ({"journal": "full"}, "journal", 10, "medium"),
        ({"journal": "slow"}, "journal", 10, "low"),
        ({"journal": "set_aside"}, "journal", 10, "low"),
        ({"journal": "altered"}, "journal", 10, "low"),
        ({"sink": "down"}, "sink", 600, "low"),
        ({"sink": "refused"}, "sink", 600, "low"),
        ({"utc_trusted": False}, "clock", 600, "low"),
    ],
)
def test_the_gateway_says_what_it_suffers_from(suffers: dict[str, object], rule: str, after_s: int, level: str) -> None:
    """After its delay, and no longer than it lasts."""
    health = replace(WELL, **suffers)
    state, _ = site.step(LIMITS, SiteState(), {}, health, "run-1", BEGIN_MS)
    state, changes = site.step(LIMITS, state, {}, health, "run-1", BEGIN_MS + after_s * 1000 - 1)
    assert changes == []
    state, changes = site.step(LIMITS, state, {}, health, "run-1", BEGIN_MS + after_s * 1000)
    assert [(change.what, change.rule.id, change.after.level) for change in changes] == [("raised", rule, level)]
    state, changes = site.step(LIMITS, state, {}, WELL, "run-1", BEGIN_MS + after_s * 1000 + 100)
    assert [change.what for change in changes] == ["cleared"]


def deed(action: wire.Action, id: str = "screen-1-0001") -> wire.Do:
    return wire.Do(id=id, session="", who="A. Nurse", action=action)


def test_an_action_is_answered_once() -> None:
    """A repeat gets the same answer and has no effect; one that is none of the site's is refused in words."""
    state = group(six(*[chair(10)] * 3))
    state, changes, done = site.act(LIMITS, state, WELL, deed(wire.PauseAudio()), "", BEGIN_MS)
    assert (len(changes), done.ok) == (1, True)
    later = group(six(*[chair(130)] * 3), state, BEGIN_MS + 120_000)
    assert later.alarms[GROUP].sounding
    again, changes, repeated = site.act(LIMITS, later, WELL, deed(wire.PauseAudio()), "", BEGIN_MS + 120_000)
    assert (again, changes, repeated) == (later, [], done)
    _, _, refused = site.act(LIMITS, state, WELL, deed(wire.Measure(), "screen-1-0002"), "", BEGIN_MS)
    assert (refused.ok, "choose a chair" in refused.reason) == (False, True)


def test_who_may_not_is_told_why() -> None:
    """And nothing changes."""
    state = group(six(*[chair(10)] * 3))
    after, changes, done = site.act(LIMITS, state, WELL, deed(wire.Acknowledge()), "needs a role", BEGIN_MS)
    assert (after.alarms, changes, done.ok, done.reason) == (state.alarms, [], False, "needs a role")


# ---- in the engine ------------------------------------------------------------------------------------------


class Ward(Story):
    """Six chairs with sessions, watched for a few seconds."""

    def watched_all(self, seconds: float, names: tuple[str, ...] = NAMES) -> list[Output]:
        outputs: list[Output] = []
        for _ in range(round(seconds)):
            outputs += self.passes(1)
            for name in names:
                outputs += self.vitals(self.chairs[name])
        return outputs

    def whole(self) -> wire.AlarmView | None:
        """The group as the heartbeat shows it."""
        now = self.engine.connected(self.now_ms, self.utc_ms)
        return next((view for view in only(wire.Heartbeat, now).alarms if view.rule == GROUP), None)

    def does_for_all(self, action: wire.Action, id: str = "screen-1-0001") -> list[Output]:
        return self.raw(DO_TOPIC, wire.encode(deed(action, id)))

    def told(self, name: str) -> tuple[bool, bool]:
        """Does the screen's chair sound by itself, and does its board?"""
        now = self.engine.connected(self.now_ms, self.utc_ms)
        board = next(
            o.message.sound
            for o in now
            if isinstance(o, Publish)
            and o.topic == wire.device_topic(self.chairs[name], "annunciate")
            and isinstance(o.message, wire.Annunciate)
        )
        return self.state(name).sound, board


@pytest.fixture
def ward() -> Ward:
    chairs = {name: f"cb-{number:06d}" for number, name in enumerate(NAMES, 1)}
    story = Ward(chairs=chairs, roles={"A. Nurse": "lead"})
    for name in NAMES:
        story.starts(chair=name)
    story.watched_all(3)
    return story


def view(state: wire.State) -> wire.AlarmView:
    [silence] = [one for one in state.alarms if one.rule == "silence"]
    return silence


def test_a_dead_network_is_one_sound(ward: Ward) -> None:
    """Six chairs fall silent: six alarms stand on their tiles and in the record, one sounds, medium at 10 s and high at
    30 s. Their boards follow the group."""
    outputs = ward.passes(10.2)
    group = ward.whole()
    assert group is not None
    assert (group.reason, group.level) == ("No data from 6 chairs: network or access point?", "medium")
    told = [t for t in published(wire.AlarmTransition, outputs) if t.rule == GROUP]
    assert [(t.chair, t.what, t.value) for t in told] == [("", "raised", wire.UNSET)]
    assert transitions(outputs, "silence") == ["raised"] * 6
    for name in NAMES:
        silence = view(ward.state(name))
        assert (silence.level, silence.carried_by) == ("medium", group.id)
        assert ward.told(name) == (False, True)
    written = [row for row in rows(outputs, "alarm") if row.tags["rule"] == GROUP]
    assert [(row.chair, row.fields["what"], row.audit) for row in written] == [("", "raised", True)]
    ward.passes(20)
    assert ward.whole().level == "high"  # type: ignore[union-attr]


def test_an_acknowledged_group_is_quiet_and_loses_nobody(ward: Ward) -> None:
    """Acknowledged on the site's topic, all members are quiet. One that stays silent when the others are back sounds by
    itself; one that falls silent after the acknowledgement does at once."""
    ward.passes(40)
    outputs = ward.does_for_all(wire.Acknowledge())
    done = only(wire.Done, outputs)
    assert done.ok
    assert transitions(outputs, GROUP) == ["acknowledged"]
    waits = next(o for o in outputs if isinstance(o, Publish) and o.message is done)
    assert (waits.topic, waits.durable) == (wire.gateway_topic(SITE, "done"), True)
    assert [ward.told(name) for name in NAMES] == [(False, False)] * 6
    ward.watched_all(3, NAMES[1:])
    assert ward.told(NAMES[0]) == (False, False)
    outputs = ward.watched_all(4, NAMES[1:])
    assert ward.whole() is None
    assert ward.told(NAMES[0]) == (True, True)
    assert view(ward.state(NAMES[0])).carried_by is wire.UNSET


def test_another_alarm_of_a_member_sounds_by_itself(ward: Ward) -> None:
    """The group carries silence alone: a nurse call on a silent chair is heard over an acknowledged group."""
    ward.passes(12)
    ward.does_for_all(wire.Acknowledge())
    ward.record(wire.Event, ward.chairs[NAMES[2]], kind="button", name="call")
    assert ward.told(NAMES[2]) == (True, True)
    assert ward.told(NAMES[3]) == (False, False)


def test_a_member_whose_sound_is_off_is_reminded_of_it(ward: Ward) -> None:
    """The group carries the sound, and nobody's reminder: whoever acknowledged the group did not switch this one on."""
    ward.passes(40)
    ward.does_for_all(wire.Acknowledge())
    assert ward.does(wire.AudioOff(on=True), chair=NAMES[2]).ok
    heard: list[tuple[float, tuple[bool, bool]]] = []
    for _ in range(160):
        ward.passes(1)
        heard += [(ward.now_ms, ward.told(NAMES[2]))]
        assert ward.told(NAMES[3]) == (False, False)
    assert ward.whole() is not None
    off_ms = ward.alarm("silence", NAMES[2]).audio_off_mono_ms
    assert [(ms - off_ms) // 1000 for ms, told in heard if told != (False, False)] == [150, 151, 152, 153]
    assert {told for _, told in heard} == {(False, False), (True, True)}


def test_a_crash_changes_nothing(ward: Ward) -> None:
    """The gateway comes back with the group, its acknowledgement, members and name, and raises nothing twice."""
    ward.passes(40)
    ward.does_for_all(wire.Acknowledge())
    before = ward.whole()
    again = ward.crashed()
    after = Ward.whole(again)  # type: ignore[arg-type]
    assert before is not None
    assert after is not None
    assert (after.id, after.acknowledged_by, after.reason) == (before.id, "A. Nurse", before.reason)
    outputs = again.passes(3)
    assert transitions(outputs, GROUP) == transitions(outputs, "silence") == []
    repeated = again.raw(DO_TOPIC, wire.encode(deed(wire.Acknowledge())))
    assert (only(wire.Done, repeated).ok, transitions(repeated)) == (True, [])


def test_a_screen_hears_of_it_at_once(ward: Ward) -> None:
    """The transition comes first, then a heartbeat with the alarm, in the batch that found it; the state that a crash
    comes back with is in it too."""
    found: list[Output] = []
    while not transitions(found, GROUP):
        found = ward.passes(0.1)
    kinds = [type(o.message) for o in found if isinstance(o, Publish)]
    after = kinds.index(wire.AlarmTransition)
    beat = next(o.message for o in found if isinstance(o, Publish) and isinstance(o.message, wire.Heartbeat))
    assert wire.Heartbeat in kinds[after:]
    assert [one.rule for one in beat.alarms] == [GROUP]
    assert "site" in [o.key for o in found if isinstance(o, Snapshot)]


def test_a_retained_action_is_refused(ward: Ward) -> None:
    """An old press of a button must not acknowledge what is new."""
    ward.passes(12)
    ward.raw(DO_TOPIC, wire.encode(deed(wire.Acknowledge())), retained=True)
    group = ward.whole()
    assert group is not None
    assert group.acknowledged_by is wire.UNSET
    assert ward.engine.refused["retained"] == 1


def test_a_damaged_snapshot_of_the_site_is_left_out() -> None:
    """Monitoring begins without it, and it is counted."""
    story = Story(protocol=DEMO, snapshots={"site": b"{"})
    assert story.engine.refused["snapshot"] == 1
    assert story.engine.whole.state == SiteState()
