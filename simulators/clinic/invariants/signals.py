"""What people hear and see of alarms: nothing is hidden by acknowledging or pausing, by a rise, or by a restart."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import wire
from gateway.core.protocol import RANK
from simulators.clinic.invariants.facts import Facts
from simulators.clinic.invariants.sides import Broken

HIDDEN = "alarm_not_hidden"
DURABLE_MS = 60


@dataclass
class Seen:
    """One alarm as the last state showed it. `since_ms` is when it began or last rose, `heard` whether somebody
    acknowledged it since, `peak` its gravest level."""

    view: wire.AlarmView
    since_ms: int
    peak: str
    heard: bool = False
    suppressed_ms: int | None = None


class Signals:
    def __init__(self, facts: Facts, broken: Broken) -> None:
        self.facts, self._broken = facts, broken
        self._seen: dict[str, Seen] = {}
        self._raised: set[str] = set()
        self._acknowledged: list[tuple[int, wire.Do]] = []
        self._paused: list[int] = []
        self._switched_off: list[int] = []
        self._moved: dict[str, tuple[int, str]] = {}
        """When each alarm last changed, and its name."""
        self._unsure: set[str] = set()
        self._last: tuple[int, wire.State] | None = None
        self._restarted = self._unheard = False

    def does(self, do: wire.Do, now_ms: int) -> set[str]:
        """What is acknowledged by it, as rules."""
        if isinstance(do.action, wire.PauseAudio):
            self._paused.append(now_ms)
        if isinstance(do.action, wire.AudioOff) and do.action.on:
            self._switched_off.append(now_ms)
        if not isinstance(do.action, wire.Acknowledge):
            return set()
        self._acknowledged.append((now_ms, do))
        rules = {rule for rule, seen in self._seen.items() if _covers(do.action, seen.view.id)}
        for rule in rules:
            self._seen[rule].heard = True
        return rules

    def changed(self, alarm: wire.AlarmTransition, now_ms: int) -> None:
        self._moved[alarm.rule] = (now_ms, alarm.id)
        if alarm.what == "raised":
            if alarm.id in self._raised:
                self._broken("alarm_not_doubled", alarm.rule, f"{alarm.id} began twice")
            self._raised.add(alarm.id)
        if alarm.what == "acknowledged" and not any(do.who == alarm.who for _, do in self._acknowledged):
            self._broken(HIDDEN, alarm.rule, f"{alarm.rule} was acknowledged, and nobody did")

    def crashed(self, now_ms: int) -> None:
        self._restarted = True
        # What was said a moment ago may not be on the disk: it begins again, under the same name.
        self._unsure = {rule for rule, (at_ms, _) in self._moved.items() if now_ms - at_ms < DURABLE_MS}
        for rule in self._unsure:
            self._raised.discard(self._moved[rule][1])
            self._seen.pop(rule, None)

    def away(self) -> None:
        """What begins now is not heard here."""
        self._unheard = True

    def shown(self, state: wire.State, now_ms: int) -> None:
        if self._unheard:
            self._unheard = False
            self._raised |= {view.id for view in state.alarms}
        if self._restarted:
            self._restarted = False
            if self._last is not None:
                self._back(self._last[1], state, now_ms - self._last[0])
        moved = now_ms - self.facts.changed_ms <= self.facts.slack_ms
        views = {view.rule: view for view in state.alarms}
        for rule, view in views.items():
            self._one(rule, view, now_ms)
        for rule in self._seen.keys() - views.keys():
            seen = self._seen.pop(rule)
            physiological = next((r.kind for r in self.facts.protocol.rules if r.id == rule), "") == "physiological"
            if seen.peak == "high" and physiological and not (seen.heard or moved):
                self._broken("alarm_latches", rule, f"{rule} was high, nobody acknowledged it, and it is gone")
        self._sounds(state, list(views.values()))
        self._last = (now_ms, state)

    def _sounds(self, state: wire.State, views: list[wire.AlarmView]) -> None:
        """What nobody has heard sounds, and the lamp shows the gravest that is not suppressed."""
        present = [view for view in views if view.condition != "latched" and not _suppressed(view)]
        loud = [view for view in present if not (_heard(view) or _paused(view) or view.audio_off)]
        reminded = any(view.audio_off for view in present)
        if bool(loud) != state.sound and not (reminded and not loud):
            names = ", ".join(view.rule for view in loud) or "nothing"
            self._broken(HIDDEN, "sound", f"{names} is unheard, and the sound is {'on' if state.sound else 'off'}")
        gravest = max((RANK[view.level] for view in present), default=0)
        louder = max((min(3, RANK[view.level] + view.escalated) for view in present), default=0)
        if not gravest <= RANK[state.level] <= louder:
            self._broken(HIDDEN, "level", f"the chair is {state.level}, its gravest alarm {gravest} of 3")

    def _one(self, rule: str, view: wire.AlarmView, now_ms: int) -> None:
        seen = self._seen.get(rule)
        if view.id not in self._raised:
            self._broken("alarm_has_reason", rule, f"{rule} is shown and never began")
        new = seen is None or seen.view.id != view.id
        if seen is None or new:
            peak = seen.peak if seen is not None and not seen.heard else "none"
            seen = self._seen[rule] = Seen(view, now_ms, max(view.level, peak, key=RANK.__getitem__))
        elif view.condition != "latched" and RANK[view.level] > RANK[seen.view.level]:
            seen.since_ms, seen.heard = now_ms, False
            seen.peak = max(view.level, seen.peak, key=RANK.__getitem__)
        seen.view = view
        if _heard(view):
            who = view.acknowledged_by
            # Seen in a state as it was done: the state follows the deed, and the rise its reading.
            done = any(
                at_ms >= seen.since_ms - 1 and do.who == who and _covers(do.action, view.id)  # type: ignore[arg-type]
                for at_ms, do in self._acknowledged
            )
            if not done:
                self._broken(HIDDEN, rule, f"{rule} ({view.level}) counts as acknowledged; nobody has since it rose")
        if _paused(view):
            pause_ms = self.facts.protocol.audio_pause_s * 1000
            earliest_ms = max(seen.since_ms - 1, now_ms - pause_ms - self.facts.slack_ms)
            if not any(at_ms >= earliest_ms for at_ms in self._paused):
                self._broken(HIDDEN, rule, f"{rule} ({view.level}) is silent; nobody paused it since it rose")

        if view.audio_off and not any(at_ms >= seen.since_ms - 1 for at_ms in self._switched_off):
            self._broken(HIDDEN, rule, f"{rule} ({view.level}) is switched off; nobody has since it rose")
        self._suppression(rule, view, seen, now_ms)

    def _suppression(self, rule: str, view: wire.AlarmView, seen: Seen, now_ms: int) -> None:
        if not _suppressed(view):
            seen.suppressed_ms = None
            return
        seen.suppressed_ms = now_ms if seen.suppressed_ms is None else seen.suppressed_ms
        known = next((one for one in self.facts.protocol.rules if one.id == rule), None)
        if known is None:
            return
        if known.kind == "physiological" and view.level == "high":
            self._broken(HIDDEN, rule, f"{rule} is high, and suppressed")
        bound_s = sum(one.at_most_s for one in known.suppress)
        if now_ms - seen.suppressed_ms > bound_s * 1000 + self.facts.slack_ms:
            self._broken(HIDDEN, rule, f"{rule} is suppressed for longer than {bound_s:g} s")

    def _back(self, before: wire.State, after: wire.State, away_ms: int) -> None:
        """After a crash everything that was known is known, and time went on."""
        now = {view.rule: view for view in after.alarms}
        for view in before.alarms:
            same = now.get(view.rule)
            if view.rule in self._unsure:
                continue
            if same is None or same.id != view.id or RANK[same.level] < RANK[view.level]:
                self._broken("crash_loses_nothing", view.rule, f"{view.rule} ({view.level}) did not outlive a crash")
                continue
            over = isinstance(view.silenced_s, float) and view.silenced_s * 1000 <= away_ms + self.facts.slack_ms
            changed = same.acknowledged_by != view.acknowledged_by or (_paused(same) != _paused(view) and not over)
            if changed and same.level == view.level:
                self._broken("crash_loses_nothing", view.rule, f"{view.rule}: who heard it did not outlive a crash")
        for name in ("session", "alias", "protocol", "phase"):
            if getattr(before, name) != getattr(after, name):
                self._broken("crash_loses_nothing", name, f"{name} was {getattr(before, name)!r} before a crash")


def _covers(action: wire.Acknowledge, alarm_id: str) -> bool:
    return alarm_id in action.alarms or not (action.alarms or action.outage)


def _heard(view: wire.AlarmView) -> bool:
    return isinstance(view.acknowledged_by, str)


def _paused(view: wire.AlarmView) -> bool:
    return isinstance(view.silenced_s, float)


def _suppressed(view: wire.AlarmView) -> bool:
    return isinstance(view.suppressed_by, str)
