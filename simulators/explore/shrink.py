"""Makes a short story of a long one in which something was not true: leaves out whatever it is true without."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from simulators.clinic.scenario import At, Expect, Scenario
from simulators.explore.search import Played, play

TRIES_MAX = 250
AFTER_S = 3
PAUSE_S = 10


def shrunk(scenario: Scenario, first: Played, play: Callable[[Scenario], Played] = play) -> tuple[Scenario, str]:
    """The shortest story found in which the same thing of the same subject is not true, and why it is not."""
    return _Shrinking(scenario, first, play).done()


class _Shrinking:
    def __init__(self, scenario: Scenario, first: Played, play: Callable[[Scenario], Played]) -> None:
        entry = first.broken[0]
        self.invariant, self.subject, self.why = entry["invariant"], entry["subject"], entry["why"]
        self.best, self.play = scenario, play
        self.tries = 0
        self.at_s = entry["at_ms"] / 1000 or scenario.duration_s

    def done(self) -> tuple[Scenario, str]:
        self._cut()
        if self.best.seed != 1:
            self._try(replace(self.best, seed=1))
        self._leave_out()
        self._soften()
        self._hurry()
        self._cut()
        expect = [Expect(invariant=self.invariant, because=self.why.splitlines()[-1][:200])]
        story = f"Found by chance, as seed {self.best.title.rsplit(' ', 1)[-1]}, and shortened.\n"
        return replace(self.best, story=story, expect=expect, at=self._told()), self.why

    def _try(self, story: Scenario) -> bool:
        """Is it still not true? Then this is the story."""
        if self.tries >= TRIES_MAX:
            return False
        self.tries += 1
        for entry in self.play(story).broken:
            if (entry["invariant"], entry["subject"]) == (self.invariant, self.subject):
                self.best, self.why = story, entry["why"]
                self.at_s = entry["at_ms"] / 1000 or story.duration_s
                return True
        return False

    def _cut(self) -> None:
        """Nothing after it matters."""
        end_s = int(self.at_s) + AFTER_S
        if end_s < self.best.duration_s:
            at = [one for one in self.best.at if one.at_s < end_s]
            self._try(replace(self.best, duration=f"{end_s} s", at=at))

    def _leave_out(self) -> None:
        """First by halves, then one by one, until none can be spared."""
        size = max(1, len(self.best.at) // 2)
        while True:
            start, spared = 0, False
            while start < len(self.best.at):
                rest = [*self.best.at[:start], *self.best.at[start + size :]]
                if self._try(replace(self.best, at=rest)):
                    spared = True
                else:
                    start += size
            if size == 1 and not spared:
                return
            size = max(1, size // 2)

    def _soften(self) -> None:
        """What happens happens at once, at full seconds, and everything else is as usual."""
        self._try(replace(self.best, cuff_on_probe_arm=False))
        for place, one in enumerate(self.best.at):
            for simpler in _simpler(one):
                at = list(self.best.at)
                at[place] = simpler
                if self._try(replace(self.best, at=sorted(at, key=lambda one: one.at_s))):
                    break

    def _hurry(self) -> None:
        """Nothing happens for a while: leave the while out."""
        for place in range(len(self.best.at)):
            before_s = self.best.at[place - 1].at_s if place else 0.0
            spare_s = int(self.best.at[place].at_s - before_s) - PAUSE_S
            if spare_s <= 0:
                continue
            later = [replace(one, time=_seconds(one.at_s - spare_s)) for one in self.best.at[place:]]
            self._try(replace(self.best, at=[*self.best.at[:place], *later]))

    def _told(self) -> list[At]:
        """A deed that is refused in it says so."""
        refused = self.play(self.best).refused
        deeds = [one for one in self.best.at if one.staff is not None]
        return [
            replace(one, refused=deeds.index(one) in refused) if one.staff is not None else one for one in self.best.at
        ]


def _seconds(at_s: float) -> str:
    return f"{round(at_s, 1):g} s"


def _simpler(one: At) -> list[At]:
    found: list[At] = []
    if one.patient is not None and one.patient.over is not None:
        found.append(replace(one, patient=replace(one.patient, over=None)))
    whole = _seconds(round(one.at_s))
    if whole != one.time:
        found = [replace(two, time=whole) for two in [*found, one]] + found
    return found
