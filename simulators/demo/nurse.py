"""The scripted member of staff: signs off who is ready and sees them out, acknowledges what rings, measures again
what failed."""

from collections.abc import Callable

from gateway import wire
from simulators.demo.watch import Watch

Say = Callable[..., None]
RINGS_S = 8.0
LEAVES_S = 5.0


class Nurse:
    def __init__(self, watch: Watch, say: Say) -> None:
        self._watch, self._say = watch, say
        self._signed_s: dict[str, float] = {}
        self._failed_ms: dict[str, int] = {}
        """Age of the failed measurement that each chair showed last; a younger one is another."""

    def rounds(self, now_s: float) -> None:
        """Looks at every chair once and does at most one thing there."""
        for chair, state in list(self._watch.states.items()):
            if state.readiness.state in ("CRITERIA_MET", "SIGNED_OFF") and _unseen(state):
                self._does(chair, "a nurse acknowledges what is over", wire.Acknowledge())
            elif state.readiness.state == "CRITERIA_MET":
                self._signed_s[chair] = now_s
                self._does(chair, "meets the criteria; a nurse signs off", wire.SignOff())
            elif state.readiness.state == "SIGNED_OFF" and now_s - self._signed_s.get(chair, now_s) > LEAVES_S:
                self._does(chair, "leaves with the escort", wire.Discharge())
            elif state.sound and any(_rings(alarm) for alarm in state.alarms):
                self._does(chair, "a nurse acknowledges", wire.Acknowledge())
            elif self._failed_anew(chair, state):
                self._does(chair, "the cuff failed; a nurse measures again", wire.Measure())

    def _failed_anew(self, chair: str, state: wire.State) -> bool:
        """Does the chair show a failed measurement that it did not show before?"""
        if not isinstance(state.pressure, wire.CuffView) or state.pressure.quality == "good":
            self._failed_ms.pop(chair, None)
            return False
        shown_ms = self._failed_ms.get(chair)
        self._failed_ms[chair] = state.pressure.age_ms
        return state.online and (shown_ms is None or state.pressure.age_ms < shown_ms)

    def _does(self, chair: str, words: str, action: wire.Action) -> None:
        self._say(words, chair)
        self._watch.act(chair, action)


def _unseen(state: wire.State) -> bool:
    return any(alarm.condition == "latched" for alarm in state.alarms)


def _rings(alarm: wire.AlarmView) -> bool:
    return alarm.since_s > RINGS_S and not isinstance(alarm.acknowledged_by, str)
