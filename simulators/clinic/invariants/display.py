"""What a display is given is what was measured: with its quality, its age, and from this patient."""

from __future__ import annotations

from gateway import wire
from simulators.clinic.invariants.facts import Facts
from simulators.clinic.invariants.sides import Broken

STATE_GAP_MS = 2_000
WITH_VALUES = ("good", "below_range")
INV = "reading_is_true"


class Display:
    def __init__(self, facts: Facts, broken: Broken) -> None:
        self.facts, self._broken = facts, broken
        self._vitals: dict[tuple[str, int], tuple[wire.Vitals, int]] = {}
        self._cuffs: list[tuple[wire.Cuff, int]] = []
        self._last_ms: int | None = None

    def heard(self, record: wire.Record, made_ms: int) -> None:
        if isinstance(record, wire.Vitals):
            self._vitals[record.boot, record.seq] = (record, made_ms)
            if len(self._vitals) > 2000:
                del self._vitals[next(iter(self._vitals))]
        elif isinstance(record, wire.Cuff):
            self._cuffs.append((record, made_ms))

    def away(self) -> None:
        """The gateway is not there, or nobody hears it."""
        self._last_ms = None

    def shown(self, state: wire.State, now_ms: int) -> None:
        if self._last_ms is not None and now_ms - self._last_ms > STATE_GAP_MS:
            self._broken(INV, "gap", f"no state for {(now_ms - self._last_ms) / 1000:.1f} s")
        self._last_ms = now_ms
        stay = self.facts.stay
        if (stay.id if stay else "") != state.session:
            return
        if isinstance(state.vitals, wire.VitalsView):
            self._reading(state.vitals, now_ms)
        if isinstance(state.pressure, wire.CuffView):
            self._pressure(state.pressure, now_ms)

    def _reading(self, view: wire.VitalsView, now_ms: int) -> None:
        facts, protocol = self.facts, self.facts.protocol
        if (view.boot, view.seq) not in self._vitals:
            self._broken(INV, "unknown", f"reading {view.seq} is shown, which never came")
            return
        record, made_ms = self._vitals[view.boot, view.seq]
        shown = {name: getattr(view, name) for name in ("spo2_pct", "pulse_bpm")}
        values = {name: value for name, value in shown.items() if isinstance(value, float)}
        age_ms = now_ms - made_ms
        said = f"reading {view.seq} ({view.quality}, {view.freshness}, {age_ms / 1000:.1f} s old)"
        if view.quality != record.quality:
            self._broken(INV, "quality", f"{said} was {record.quality}")
        if values and view.quality not in WITH_VALUES:
            self._broken(INV, "value", f"{said} is shown with a number")
        if any(value != getattr(record, name) for name, value in values.items()):
            self._broken(INV, "other", f"{said} is shown as {values}")
        if view.age_ms + facts.slack_ms < age_ms:
            self._broken(INV, "age", f"{said} is shown as {view.age_ms / 1000:.1f} s old")
        if view.freshness == "live" and age_ms > protocol.live_s * 1000 + facts.slack_ms:
            self._broken(INV, "stale", f"{said} looks live")
        if age_ms > protocol.lost_s * 1000 + facts.slack_ms and (values or view.freshness != "lost"):
            self._broken(INV, "lost", f"{said} is still shown")
        if facts.stay is not None and made_ms + facts.slack_ms < facts.stay.started_ms:
            self._broken(INV, "before", f"{said} is of the patient before")

    def _pressure(self, view: wire.CuffView, now_ms: int) -> None:
        facts = self.facts
        same = [
            made_ms
            for record, made_ms in self._cuffs
            if (record.quality, record.sys_mmhg, record.dia_mmhg) == (view.quality, view.sys_mmhg, view.dia_mmhg)
            and abs(now_ms - made_ms - view.age_ms) <= facts.slack_ms
        ]
        if not same:
            self._broken(INV, "pressure", f"a pressure is shown, {view.age_ms / 1000:.0f} s old, that was not measured")
        elif facts.stay is not None and view.current:
            current_ms = facts.protocol.cuff.current_s(facts.stay.phase) * 1000 + facts.slack_ms
            if now_ms - same[-1] > current_ms:
                self._broken(INV, "pressure_age", f"a pressure {(now_ms - same[-1]) / 1000:.0f} s old looks current")
