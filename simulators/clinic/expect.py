"""Did what had to happen happen, in time? Each expectation of a scenario against the log of a run.

A verdict says it in a sentence for a clinician: what was expected, what was seen instead, and how much time was left.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.protocol import RANK, Protocol
from simulators.clinic import units
from simulators.clinic.invariants import INVARIANTS
from simulators.clinic.log import Entry, Log
from simulators.clinic.scenario import Expect, Scenario


@dataclass(frozen=True)
class Verdict:
    """`margin_s` is the time left to the deadline (below zero: too late), None where there is no deadline."""

    good: bool
    expected: str
    seen: str
    margin_s: float | None = None
    because: str = ""

    @property
    def sentence(self) -> str:
        why = f" {self.because}" if self.because else ""
        return f"Expected: {self.expected}. Seen: {self.seen}.{why}"


def judge(scenario: Scenario, protocol: Protocol, log: Log) -> list[Verdict]:
    reasons = {rule.id: rule.reason for rule in protocol.rules}
    labels = {criterion.id: criterion.label for criterion in protocol.criteria}
    verdicts = [_judge(expect, scenario, reasons, labels, log) for expect in scenario.expect]
    named = {expect.invariant for expect in scenario.expect}
    broken = [_broken(entry) for entry in log.of("broken") if entry["invariant"] not in named]
    return verdicts + broken + [_told(deed) for deed in log.of("staff") if not deed["as_told"]]


def _judge(expect: Expect, scenario: Scenario, reasons: dict[str, str], labels: dict[str, str], log: Log) -> Verdict:
    if expect.alarm is not None:
        return _alarm(expect, expect.alarm, reasons, scenario, log)
    if expect.cleared is not None:
        over = [e for e in log.of("alarm") if e["rule"] == expect.cleared and e["what"] in ("cleared", "latched")]
        return _by(expect, f'the alarm "{reasons[expect.cleared]}" is over', over, "it was not over")
    if expect.must_not_sound is not None:
        return _quiet(expect, expect.must_not_sound, reasons, scenario, log)
    if expect.readiness is not None:
        reached = [e for e in log.of("readiness") if e["state"] == expect.readiness]
        last = log.of("readiness")[-1:]
        lacking = "; ".join(f"{labels.get(name, name)}: {why}" for e in last for name, why in e["missing"].items())
        never = (
            f"the chair stayed {last[0]['state']} ({lacking or 'nothing was missing'})" if last else "no session began"
        )
        return _by(expect, f"readiness is {expect.readiness}", reached, never)
    if expect.missing is not None:
        return _missing(expect, expect.missing, labels, log)
    if expect.during_outage is not None:
        reason = reasons[expect.during_outage]
        listed = [e for e in log.of("outage") if any(line.startswith(reason) for line in e["crossed"])]
        return _by(expect, f'"{reason}" is listed as crossed during the outage', listed, "it was not listed")
    if expect.invariant is not None:
        entries = [e for e in log.of("broken") if e["invariant"] == expect.invariant]
        return _broken(entries[0]) if entries else Verdict(True, INVARIANTS[expect.invariant], "always")
    if expect.cuff_fails is not None:
        failed = [e for e in log.of("cuff") if e["quality"] == "failed"]
        named = [e for e in failed if e["reason"] == expect.cuff_fails]
        others = ", ".join(sorted({str(e["reason"]) for e in failed}))
        never = f"measurements failed for {others}" if others else "no measurement failed"
        return _by(expect, f"a cuff measurement fails ({expect.cuff_fails})", named, never)
    told = [e for e in log.of("status") if expect.fault_reported in e.get("faults", [])]
    return _by(expect, f"the board reports the fault {expect.fault_reported}", told, "it did not report it")


def _window(expect: Expect) -> tuple[float, float]:
    return units.seconds(expect.not_before or "0 s"), units.seconds(expect.by or "100000 h")


def _by(expect: Expect, what: str, seen: list[Entry], never: str) -> Verdict:
    """The first time in the window, else what went wrong."""
    first_s, last_s = _window(expect)
    when = f" by {expect.by}" + (f" and not before {expect.not_before}" if expect.not_before else "")
    times = [entry["at_ms"] / 1000 for entry in seen]
    inside = [t for t in times if first_s <= t <= last_s]
    if inside:
        return Verdict(True, what + when, f"at {units.clock(inside[0])}", last_s - inside[0])
    late = [t for t in times if t > last_s]
    if late:
        said = f"at {units.clock(late[0])}, {late[0] - last_s:.1f} s too late"
        return Verdict(False, what + when, said, last_s - late[0], expect.because)
    if times:
        said = f"at {units.clock(times[-1])}, {first_s - times[-1]:.1f} s too early"
        return Verdict(False, what + when, said, None, expect.because)
    return Verdict(False, what + when, never, None, expect.because)


def _alarm(expect: Expect, rule: str, reasons: dict[str, str], scenario: Scenario, log: Log) -> Verdict:
    of_rule = [e for e in log.of("alarm") if e["rule"] == rule and e["what"] in ("raised", "level")]
    reached = [e for e in of_rule if expect.level is None or e["level"] == expect.level]
    level = f" as {expect.level}" if expect.level else ""
    what = f'the alarm "{reasons[rule]}" is raised{level}'
    others = ", ".join(f"{e['level']} at {units.clock(e['at_ms'] / 1000)}" for e in of_rule)
    verdict = _by(expect, what, reached, f"it was only {others}" if others else "it was not raised")
    early = [e for e in reached if e["at_ms"] / 1000 < _window(expect)[0] and not _expected_then(e, scenario, expect)]
    if verdict.good and early:
        said = f"already at {units.clock(early[0]['at_ms'] / 1000)}"
        return Verdict(False, verdict.expected, said, None, expect.because)
    return verdict


def _expected_then(entry: Entry, scenario: Scenario, expect: Expect) -> bool:
    """Another expectation of the same alarm speaks for this moment."""
    at_s = entry["at_ms"] / 1000
    return any(
        other is not expect
        and other.alarm == expect.alarm
        and other.level in (None, entry["level"])
        and _window(other)[0] <= at_s <= _window(other)[1]
        for other in scenario.expect
    )


def _quiet(expect: Expect, rule: str, reasons: dict[str, str], scenario: Scenario, log: Log) -> Verdict:
    first_s, last_s = _window(expect)
    last_s = min(last_s, scenario.duration_s)
    floor = RANK[expect.level] if expect.level else 0
    name = "no alarm" if rule == "any" else f'no alarm "{reasons[rule]}"'
    if expect.level:
        name += f" of {expect.level} level or over"
    what = f"{name} from {units.clock(first_s)} to {units.clock(last_s)}"
    levels: dict[str, str] = {}
    for entry in log.of("alarm", "sounder"):
        risen = True
        if entry["kind"] == "alarm":
            before, levels[entry["rule"]] = levels.get(entry["rule"], "none"), entry["level"]
            risen = entry["what"] in ("raised", "sounding") or RANK[entry["level"]] > RANK[before]
        if not risen or not first_s <= entry["at_ms"] / 1000 <= last_s:
            continue
        at = units.clock(entry["at_ms"] / 1000)
        if entry["kind"] == "sounder":
            if rule == "any" and floor == 0:
                return Verdict(False, what, f"the board sounded at {at}", None, expect.because)
        elif rule in ("any", entry["rule"]) and RANK[entry["level"]] >= floor:
            said = f'"{entry["reason"]}" ({entry["level"]}) at {at}'
            return Verdict(False, what, said, None, expect.because)
    return Verdict(True, what, "none")


def _missing(expect: Expect, criteria: list[str], labels: dict[str, str], log: Log) -> Verdict:
    at_s = units.seconds(expect.at or "0 s")
    before = [e for e in log.of("readiness") if e["at_ms"] / 1000 <= at_s]
    names = ", ".join(f'"{labels[name]}"' for name in criteria)
    what = f"at {expect.at} still missing: {names}"
    if not before:
        return Verdict(False, what, "nothing was shown yet", None, expect.because)
    missing = before[-1]["missing"]
    absent = [labels[name] for name in criteria if name not in missing]
    if absent:
        said = f"met already: {', '.join(absent)}"
        return Verdict(False, what, said, None, expect.because)
    return Verdict(True, what, f"{len(missing)} listed, these among them")


def _broken(entry: Entry) -> Verdict:
    return Verdict(False, INVARIANTS[entry["invariant"]], f"at {units.clock(entry['at_ms'] / 1000)}: {entry['why']}")


def _told(deed: Entry) -> Verdict:
    at = units.clock(deed["at_ms"] / 1000)
    if deed["ok"]:
        return Verdict(False, f'staff: "{deed["what"]}" is refused', f"it was done at {at}")
    return Verdict(False, f'staff: "{deed["what"]}" is done', f"refused at {at}: {deed.get('reason', '')}")
