"""Plays a recording to `core.chair.step`, the same that judges live, and keeps every alarm that it raised."""

import itertools
from collections.abc import Callable, Iterator

from msgspec import UNSET, Struct
from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, recovery, rows, seating
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, Staff, Tick
from gateway.core.protocol import RANK, Protocol
from gateway.replay.recording import REPLAY_MS, Ended, Recording, Reseated, Restarted, session_for

TICK_MS = 100
"""As often as the gateway's loop ticks."""
TOLD_MS = 600_000
OVER = ("cleared", "latched")


class Episode(Struct, kw_only=True):
    """One alarm from its raise to its end. `level`, `value` and `limit` are of its gravest moment."""

    id: str
    rule: str
    level: str
    raised_s: float
    cleared_s: float | None = None
    """None: it was there when the recording ended."""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    reason: str
    spans: list[tuple[str, float, float]] = []
    """Level, from and to: what is drawn and counted."""


class Result(Struct, frozen=True, kw_only=True):
    protocol: str
    hours: float
    alarms: list[Episode]
    not_judged: tuple[str, ...] = ()
    """Rules about which the recording says nothing."""

    @property
    def load_per_hour(self) -> float:
        return len(self.alarms) / self.hours if self.hours else 0.0

    def minutes_in_alarm(self) -> dict[str, dict[str, float]]:
        """By rule and level."""
        total: dict[str, dict[str, float]] = {}
        for episode in self.alarms:
            levels = total.setdefault(episode.rule, {})
            for level, from_s, to_s in episode.spans:
                levels[level] = levels.get(level, 0.0) + (to_s - from_s) / 60
        return {rule: {level: round(minutes, 3) for level, minutes in by.items()} for rule, by in total.items()}


class Moment(Struct, frozen=True):
    """What the chair was after something happened, and what followed from it."""

    at_ms: int
    state: ChairState
    decisions: list[Decision]
    happening: object


def judged(recording: Recording, protocol: Protocol) -> Protocol:
    """The protocol without the rules about which the recording says nothing; readiness is not asked."""
    if recording.measures is None:
        return protocol
    rules = tuple(rule for rule in protocol.rules if rule.measure in recording.measures)
    return replace(protocol, rules=rules, criteria=())


def moments(recording: Recording, protocol: Protocol) -> Iterator[Moment]:
    """The chair after each happening and each tick. Every session runs under this protocol."""
    protocols = {protocol.id: judged(recording, protocol)}
    state = recording.state(protocol.id)
    tick_ms: int | None = None
    began = [] if recording.measures is None else [(REPLAY_MS, session_for(protocol.id))]
    for at_ms, happening in itertools.chain(began, recording.events):
        if tick_ms is None:
            tick_ms = at_ms // TICK_MS * TICK_MS
        until_ms = happening.since_ms if isinstance(happening, Restarted) else at_ms
        while tick_ms + TICK_MS <= until_ms:
            tick_ms += TICK_MS
            state, decisions = chair.step(protocols, state, Tick(), tick_ms)
            if decisions or tick_ms % 1000 == 0:
                yield Moment(tick_ms, state, decisions, Tick())
        if isinstance(happening, Restarted):
            state, decisions = chair.step(protocols, _restarted(state, happening, at_ms), Tick(), at_ms)
            tick_ms = at_ms // TICK_MS * TICK_MS
        elif isinstance(happening, Reseated):
            state, decisions = _reseated(protocols[protocol.id], state, happening, at_ms)
        elif isinstance(happening, Ended):
            state, decisions = chair.step(protocols, state, Tick(), at_ms)
        else:
            told = _under(protocol.id, happening) if isinstance(happening, Staff) else happening
            state, decisions = chair.step(protocols, state, told, at_ms)
        yield Moment(at_ms, state, decisions, happening)


def play(
    recording: Recording, protocol: Protocol, name: str = "", reached: Callable[[int], None] = lambda at_ms: None
) -> Result:
    """What the protocol's rules make of the recording. `name` is what to call them, and `reached` hears now and then
    how far it is."""
    episodes = Episodes(recording)
    at_ms = told_ms = recording.from_ms
    for moment in moments(recording, protocol):
        at_ms = moment.at_ms
        if at_ms - told_ms >= TOLD_MS:
            told_ms = at_ms
            reached(at_ms)
        for decision in moment.decisions:
            if isinstance(decision, AlarmChanged):
                episodes.changed(rows.transition(decision, "replay", "", "", "", max(0, at_ms)), at_ms)
    episodes.end(at_ms)
    return Result(
        protocol=name or protocol.id,
        hours=(at_ms - recording.from_ms) / 3_600_000,
        alarms=episodes.found,
        not_judged=_not_judged(recording, protocol),
    )


def recorded(recording: Recording) -> list[Episode]:
    """The alarms as the gateway told them."""
    episodes = Episodes(recording)
    for at_ms, change in recording.told:
        episodes.changed(change, at_ms)
    return episodes.found


def differences(told: list[Episode], replayed: list[Episode]) -> list[str]:
    """Where a replay is not what was recorded, in words. The gateway's loop ticks when it can: a tick is no
    difference."""
    found = []
    again = {episode.id: episode for episode in replayed}
    for episode in told:
        one = again.pop(episode.id, None)
        if one is None:
            found.append(f"{episode.rule} of {episode.raised_s:.1f} s was recorded and is not raised")
        elif one.level != episode.level:
            found.append(f"{episode.rule} of {episode.raised_s:.1f} s was {episode.level} and is {one.level}")
        elif not (_same(episode.raised_s, one.raised_s) and _same(episode.cleared_s, one.cleared_s)):
            was, is_ = (f"{e.raised_s:.1f} to {_end(e)}" for e in (episode, one))
            found.append(f"{episode.rule} lasted from {was} and lasts from {is_}")
    return [*found, *(f"{one.rule} of {one.raised_s:.1f} s was not recorded" for one in again.values())]


def _same(one_s: float | None, other_s: float | None) -> bool:
    if one_s is None or other_s is None:
        return one_s == other_s
    return abs(one_s - other_s) <= 1.5 * TICK_MS / 1000


def _end(episode: Episode) -> str:
    return "the end" if episode.cleared_s is None else f"{episode.cleared_s:.1f} s"


def _not_judged(recording: Recording, protocol: Protocol) -> tuple[str, ...]:
    """A recording without a session of its own has no dose, and so no phase but the first."""
    measures = recording.measures
    if measures is None:
        return ()
    return tuple(rule.id for rule in protocol.rules if rule.measure not in measures or "before" not in rule.phases)


def _under(protocol: str, staff: Staff) -> Staff:
    """A session begins under the protocol that is asked about."""
    if not isinstance(staff.do.action, wire.Start):
        return staff
    return replace(staff, do=replace(staff.do, action=replace(staff.do.action, protocol=protocol)))


def _reseated(
    protocol: Protocol, state: ChairState, reseated: Reseated, now_ms: int
) -> tuple[ChairState, list[Decision]]:
    """As the engine carries it out. Who went without a session, under other numbers, did not go."""
    protocols, asked, action = {protocol.id: protocol}, reseated.asked, reseated.asked.do.action
    state, decisions = chair.step(protocols, state, Tick(), now_ms)
    if isinstance(action, wire.Swap):
        state, told = seating.swapped(protocol, state, asked, "", action.device, now_ms)
    elif isinstance(action, wire.Move) and state.session is not None:
        target = ChairState(idle_protocol=protocol.id) if reseated.target is None else reseated.target(protocol.id)
        (left, gone), (here, came) = seating.moved(protocol, protocol, state, target, asked, action.to, now_ms)
        state, told = (left, gone) if reseated.target is None else (here, came)
    else:
        told = []
    if reseated.status is not None:
        state, said = chair.step(protocols, state, reseated.status, now_ms)
        told = [*told, *said]
    return state, [*decisions, *told]


def _restarted(state: ChairState, restarted: Restarted, now_ms: int) -> ChairState:
    """As the gateway comes back. A time for which its computer was off, and which nobody knows, is not counted: every
    stamp is as old as it was."""
    state = chair.fitted(state)
    if restarted.off is None:
        return state
    if not restarted.off.known:
        body = recovery.snapshot("", state, restarted.since_ms, 0, "before").body
        state, _ = recovery.restored(body, ChairState, now_ms, 0, "after")
    return recovery.noted(chair.resumed(state), restarted.off, now_ms)


class Episodes:
    """Collects transitions, in order, into alarms. What ended before the recording's `from_ms` is left out."""

    def __init__(self, recording: Recording) -> None:
        self._zero_ms, self._from_ms = recording.zero_ms, recording.from_ms
        self._open: dict[str, tuple[Episode, str, int]] = {}
        self.found: list[Episode] = []

    def changed(self, change: wire.AlarmTransition, now_ms: int) -> None:
        if change.what == "raised":
            episode = Episode(
                id=change.id, rule=change.rule, level=change.level, raised_s=self._at_s(now_ms), reason=change.reason
            )
            self.found.append(episode)
        elif change.id in self._open:
            episode = self._lasted(change.id, now_ms)
        else:
            return
        if change.what in OVER:
            episode.cleared_s = self._at_s(now_ms)
            del self._open[change.id]
            if now_ms < self._from_ms:
                self.found.remove(episode)
            return
        self._open[change.id] = (episode, change.level, now_ms)
        if change.what == "raised" or RANK[change.level] > RANK[episode.level]:
            episode.level = change.level
            episode.value = None if change.value is UNSET else change.value
            episode.limit = None if change.limit is UNSET else change.limit
            episode.unit = "" if change.unit is UNSET else str(change.unit)

    def end(self, now_ms: int) -> None:
        for id_ in self._open:
            self._lasted(id_, now_ms)

    def _lasted(self, id_: str, now_ms: int) -> Episode:
        """Add the time since the last change to the level it was in."""
        episode, level, since_ms = self._open[id_]
        from_ms = max(since_ms, self._from_ms)
        if now_ms > from_ms:
            episode.spans.append((level, self._at_s(from_ms), self._at_s(now_ms)))
        return episode

    def _at_s(self, now_ms: int) -> float:
        return round((now_ms - self._zero_ms) / 1000, 3)
