"""What must be true of a session, said a second time: from a log of all that happened, with nothing of the gateway's
own bookkeeping. It is slow and plain; `core.readiness` is fast and remembers."""

import itertools
from dataclasses import dataclass, field

from gateway import wire
from gateway.core.protocol import (
    RANK,
    WORD_VALUE,
    Clock,
    Coverage,
    Criterion,
    Elapsed,
    Hold,
    NearBaseline,
    Observed,
    Quiet,
    Score,
)

MINUTE_MS = 60_000


@dataclass
class Fact:
    """An entry, as people know it: wrong ones are out of the list."""

    id: str
    at_ms: int
    fact: wire.Fact
    cuffs: list[tuple[int, float, float]]
    """The good readings there were when it was entered."""


@dataclass
class Log:
    started_ms: int
    facts: list[Fact] = field(default_factory=list)
    live: list[tuple[int, float, float]] = field(default_factory=list)
    """Good vitals in time: at, saturation, pulse."""
    late: list[tuple[int, float, float]] = field(default_factory=list)
    cuffs: list[tuple[int, float, float]] = field(default_factory=list)
    """Good pressures in time."""
    loud: dict[str, int] = field(default_factory=dict)
    """When an alarm of a level was last present."""

    # ---- what the facts say -------------------------------------------------------------------------------

    def doses(self) -> dict[Clock, int | None]:
        clocks: dict[Clock, int | None] = {"first_dose": None, "last_dose": None, "dose_end": None}
        for one in self.facts:
            if isinstance(one.fact, wire.Dose):
                if one.fact.what == "first":
                    clocks["first_dose"] = clocks["last_dose"] = one.at_ms
                elif one.fact.what == "further":
                    clocks["last_dose"], clocks["dose_end"] = one.at_ms, None
                else:
                    clocks["dose_end"] = one.at_ms
        return clocks

    def baseline(self) -> tuple[float, float] | None:
        typed = [one for one in self.facts if isinstance(one.fact, wire.Baseline)]
        if not typed:
            return None
        last = typed[-1]
        assert isinstance(last.fact, wire.Baseline)
        if isinstance(last.fact.sys_mmhg, float) and isinstance(last.fact.dia_mmhg, float):
            return last.fact.sys_mmhg, last.fact.dia_mmhg
        first_ms = self.doses()["first_dose"]
        before = [cuff for cuff in last.cuffs if first_ms is None or cuff[0] < first_ms]
        assert len(before) >= 2
        return _middle([cuff[1] for cuff in before]), _middle([cuff[2] for cuff in before])

    def seen(self, item: str) -> tuple[int, float] | None:
        """When, and what."""
        found = None
        for one in self.facts:
            if not isinstance(one.fact, wire.Observe):
                continue
            value = getattr(one.fact, item)
            if item == "dissociation" and one.fact.cadss is not wire.UNSET:
                value = one.fact.cadss > 4 or value is True
            if value is not wire.UNSET:
                found = (one.at_ms, float(WORD_VALUE.get(value, value)))
        return found

    # ---- what readiness may say ---------------------------------------------------------------------------

    def met(self, criterion: Criterion, now_ms: int) -> bool:
        """By what is known at that time, and by nothing else."""
        since_ms: int | None = self.started_ms
        if (clock := getattr(criterion, "since", None)) is not None:
            since_ms = self.doses()[clock]
        if since_ms is None:
            return False
        match criterion:
            case Elapsed():
                return now_ms - since_ms >= criterion.at_least_s * 1000
            case Hold():
                return self._held(criterion, since_ms, now_ms)
            case NearBaseline():
                return self._near(criterion, since_ms, now_ms)
            case Observed():
                return self._observed(criterion, since_ms, now_ms)
            case Quiet():
                loud_ms = self.loud.get(criterion.level, self.started_ms)
                return now_ms - loud_ms >= criterion.for_s * 1000
            case Coverage():
                return self._covered(criterion, now_ms)
            case Score():
                return self._scored(criterion, since_ms, now_ms)

    def _held(self, criterion: Hold, since_ms: int, now_ms: int) -> bool:
        column = 1 if criterion.measure == "spo2_pct" else 2
        gap_ms = criterion.gap_max_s * 1000
        if not self.live or self.live[-1][0] < since_ms or now_ms - self.live[-1][0] > gap_ms:
            return False
        run: list[int] = []
        for reading in self.live:
            inside = criterion.at_least <= reading[column] <= criterion.at_most
            run = [*(run if run and reading[0] - run[-1] <= gap_ms else []), reading[0]] if inside else []
        if not run:
            return False
        bad_ms = [late[0] for late in self.late if not criterion.at_least <= late[column] <= criterion.at_most]
        begun_ms = max([run[0], since_ms, *[ms for ms in bad_ms if ms >= run[0]]])
        return run[-1] - begun_ms >= criterion.hold_s * 1000

    def _near(self, criterion: NearBaseline, since_ms: int, now_ms: int) -> bool:
        baseline = self.baseline()
        last = [cuff for cuff in self.cuffs if cuff[0] >= since_ms][-criterion.readings :]
        if baseline is None or len(last) < criterion.readings:
            return False
        apart = all(b[0] - a[0] >= criterion.spacing_s * 1000 for a, b in itertools.pairwise(last))
        near = all(
            abs(sys - baseline[0]) <= criterion.sys_within_mmhg and abs(dia - baseline[1]) <= criterion.dia_within_mmhg
            for _, sys, dia in last
        )
        return near and apart and now_ms - last[-1][0] <= criterion.age_max_s * 1000

    def _observed(self, criterion: Observed, since_ms: int, now_ms: int) -> bool:
        seen = self.seen(criterion.item)
        if seen is None or seen[0] < since_ms or now_ms - seen[0] > criterion.age_max_s * 1000:
            return False
        if criterion.equals is not None:
            return seen[1] == float(WORD_VALUE.get(criterion.equals, criterion.equals))  # type: ignore[arg-type]
        low = criterion.at_least if criterion.at_least is not None else seen[1]
        high = criterion.at_most if criterion.at_most is not None else seen[1]
        return low <= seen[1] <= high

    def _covered(self, criterion: Coverage, now_ms: int) -> bool:
        """Each good reading stands for the time since the one before, 1.5 s at most, in the minute that it ends in."""
        first_minute = (now_ms - self.started_ms - round(criterion.over_s * 1000)) // MINUTE_MS
        if first_minute < 0:
            return False
        good: dict[int, int] = {}
        for number, reading in enumerate(self.live):
            minute = (reading[0] - self.started_ms) // MINUTE_MS
            spoken_ms = min(1500, reading[0] - self.live[number - 1][0]) if number else 1000
            good[minute] = min(MINUTE_MS, good.get(minute, 0) + spoken_ms)
        window_ms = now_ms - self.started_ms - first_minute * MINUTE_MS
        return sum(ms for minute, ms in good.items() if minute >= first_minute) * 100 >= (
            criterion.at_least_pct * window_ms
        )

    def _scored(self, criterion: Score, since_ms: int, now_ms: int) -> bool:
        """PADSS, from its table."""
        assert criterion.score == "padss"
        baseline = self.baseline()
        if baseline is None or not self.cuffs:
            return False
        at_ms, sys, _ = self.cuffs[-1]
        if at_ms < since_ms or now_ms - at_ms > criterion.pressure_age_max_s * 1000:
            return False
        apart_pct = abs(sys - baseline[0]) / baseline[0] * 100
        total = 2 + (2 if apart_pct <= 20 else 1 if apart_pct <= 40 else 0)
        for item in ("gait", "nausea", "pain"):
            seen = self.seen(item)
            if seen is None or seen[0] < since_ms or now_ms - seen[0] > criterion.observed_age_max_s * 1000:
                return False
            total += int(seen[1]) if item == "gait" else 2 if seen[1] <= 3 else 1 if seen[1] <= 6 else 0
        return total >= criterion.at_least

    def heard_alarm(self, level: str, now_ms: int) -> None:
        for name, rank in RANK.items():
            if 0 < rank <= RANK[level]:
                self.loud[name] = now_ms


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
