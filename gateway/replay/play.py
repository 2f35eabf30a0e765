"""Plays a recording to `core.chair.step`, the same that judges live, and keeps every alarm that it raised."""

from collections.abc import Iterable

from msgspec import UNSET, Struct
from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, rows
from gateway.core.chair_state import AlarmChanged, ChairState, Decision, Staff, Tick
from gateway.core.protocol import RANK, Protocol
from gateway.replay.recording import Recording

TICK_MS = 500
START_MS = -1
"""The session begins before the first reading, or it would be of the patient before."""


class Episode(Struct, kw_only=True):
    """One alarm from its raise to its end. `level`, `value`, `limit` and `reason` are of its gravest moment."""

    rule: str
    level: str
    raised_s: float
    cleared_s: float | None = None
    """None: it was there when the recording ended."""
    value: float | None = None
    limit: float | None = None
    reason: str
    in_level_ms: dict[str, int] = {}


class Result(Struct, frozen=True, kw_only=True):
    protocol: str
    hours: float
    alarms: list[Episode]
    not_judged: list[str]
    """Rules about which the recording says nothing."""

    @property
    def load_per_hour(self) -> float:
        return len(self.alarms) / self.hours

    def minutes_in_alarm(self) -> dict[str, dict[str, float]]:
        """By rule and level."""
        total: dict[str, dict[str, float]] = {}
        for episode in self.alarms:
            levels = total.setdefault(episode.rule, {})
            for level, ms in episode.in_level_ms.items():
                levels[level] = round(levels.get(level, 0.0) + ms / 60_000, 3)
        return total


def play(recording: Recording, protocol: Protocol) -> Result:
    """What the protocol's rules make of the recording, in a session that lasts as long as it does."""
    judged = tuple(rule for rule in protocol.rules if rule.measure in recording.measures)
    protocols = {protocol.id: replace(protocol, rules=judged, criteria=())}
    start = wire.Do(
        id="replay-start", session="", who="replay", action=wire.Start(protocol=protocol.id, alias="replay")
    )
    state, _ = chair.step(protocols, ChairState(idle_protocol=protocol.id), Staff(do=start), START_MS)
    episodes = _Episodes(recording)
    tick_ms = START_MS
    for at_ms, happening in [*recording.events, (recording.ends_ms, Tick())]:
        while tick_ms + TICK_MS < at_ms:
            tick_ms += TICK_MS
            state, decisions = chair.step(protocols, state, Tick(), tick_ms)
            episodes.take(decisions, tick_ms)
        state, decisions = chair.step(protocols, state, happening, at_ms)
        episodes.take(decisions, at_ms)
    episodes.end(recording.ends_ms)
    return Result(
        protocol=protocol.id,
        hours=recording.ends_ms / 3_600_000,
        alarms=episodes.closed,
        not_judged=[rule.id for rule in protocol.rules if rule.measure not in recording.measures],
    )


class _Episodes:
    def __init__(self, recording: Recording) -> None:
        self._began_s = recording.began_s
        self._open: dict[str, tuple[Episode, str, int]] = {}
        self.closed: list[Episode] = []

    def take(self, decisions: Iterable[Decision], now_ms: int) -> None:
        for decision in decisions:
            if isinstance(decision, AlarmChanged):
                self._changed(rows.transition(decision, "replay", "", "", "", now_ms), now_ms)

    def _changed(self, change: wire.AlarmTransition, now_ms: int) -> None:
        if change.what == "raised":
            episode = Episode(rule=change.rule, level=change.level, raised_s=self._at_s(now_ms), reason=change.reason)
            self.closed.append(episode)
        elif change.id in self._open:
            episode = self._lasted(change.id, now_ms)
        else:
            return
        if change.what in ("cleared", "latched"):
            episode.cleared_s = self._at_s(now_ms)
            del self._open[change.id]
            return
        self._open[change.id] = (episode, change.level, now_ms)
        if change.what == "raised" or RANK[change.level] > RANK[episode.level]:
            episode.level = change.level
            episode.value = None if change.value is UNSET else change.value
            episode.limit = None if change.limit is UNSET else change.limit

    def _lasted(self, id_: str, now_ms: int) -> Episode:
        """Add the time since the last change to the level it was in."""
        episode, level, since_ms = self._open[id_]
        episode.in_level_ms[level] = episode.in_level_ms.get(level, 0) + now_ms - since_ms
        return episode

    def end(self, now_ms: int) -> None:
        for id_ in self._open:
            self._lasted(id_, now_ms)

    def _at_s(self, now_ms: int) -> float:
        return round(self._began_s + now_ms / 1000, 3)
