"""What must always be true of a chair, whatever happens to it: watched at the gateway's border while a story runs.

    INVARIANTS        what each is about, in a sentence
    Watch             is told what boards, staff and gateway say and when, and writes what is broken into the log

The expectation is worked out here a second time, from the messages and the protocol's numbers; nothing of the gateway's
own reckoning is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway import wire
from gateway.core.outputs import Output, Refusal
from gateway.core.protocol import Protocol
from simulators.clinic.invariants.conditions import Conditions
from simulators.clinic.invariants.cuff import CuffLimits
from simulators.clinic.invariants.display import Display
from simulators.clinic.invariants.facts import Facts
from simulators.clinic.invariants.readiness import Readiness
from simulators.clinic.invariants.signals import Signals
from simulators.clinic.invariants.truth import Truth

INVARIANTS = {
    "reading_is_true": "a reading is shown as it was measured, with its quality and age",
    "alarm_not_lost": "what is beyond a limit for its delay is shown until a good value is back inside",
    "alarm_has_cause": "no alarm comes while everything is inside its limits",
    "alarm_has_reason": "an alarm says why, with its number",
    "alarm_ends": "an alarm ends when its cause has",
    "alarm_latches": "a high alarm of the patient stays until somebody has seen it",
    "alarm_not_doubled": "one episode is one alarm",
    "alarm_not_hidden": "acknowledging or pausing hides nothing that is new or has risen",
    "silence_noticed": "a chair that says nothing is an alarm in time",
    "readiness_is_founded": "nobody is ready on a criterion that is unmet or unknown",
    "crash_loses_nothing": "after a crash the gateway knows what it knew",
    "cuff_limits": "the cuff presses neither too hard nor too long",
    "no_error": "nothing goes wrong inside the gateway",
}


class Watch:
    """`note` writes into the log; each thing that is broken is written once."""

    def __init__(self, protocols: Mapping[str, Protocol], note: Callable[..., None]) -> None:
        self._note = note
        self._told: set[tuple[str, str]] = set()
        self.facts = Facts(dict(protocols), next(iter(protocols.values())))
        self.conditions = Conditions(self.facts, self.broken)
        self.display = Display(self.facts, self.broken)
        self.signals = Signals(self.facts, self.broken)
        self.readiness = Readiness(self.facts, self.broken)
        self.cuff = CuffLimits(self.broken)
        self.truth = Truth(self.facts, self.broken)

    def broken(self, invariant: str, subject: str, why: str) -> None:
        """It is not true, of this and for this reason."""
        if (invariant, subject) not in self._told:
            self._told.add((invariant, subject))
            self._note("broken", invariant=invariant, subject=subject, why=why)

    # --- to the gateway

    def made(self, record: wire.Record, now_ms: int) -> None:
        self.facts.made(record, now_ms)
        self.cuff.made(record, now_ms - record.age_ms)

    def heard(self, topic: str, payload: bytes, now_ms: int) -> None:
        """A message arrives at a gateway that runs and is connected."""
        leaf = topic.rsplit("/", 1)[1]
        if leaf == "do":
            do = wire.decode(payload, wire.Do, wire.STATE_BYTES_MAX)
            self.facts.does(do, now_ms)
            self.conditions.acknowledged(self.signals.does(do, now_ms))
            return
        message = wire.decode(payload, wire.BOARD_TOPICS[leaf])
        if isinstance(message, wire.Status):
            if message.online:
                self.conditions.reported(message, now_ms)
        elif isinstance(message, wire.Record):
            reading = self.facts.heard(message, now_ms)
            if reading is not None:
                self.display.heard(message, reading.made_ms)
                self.conditions.heard(reading)

    # --- from the gateway

    def said(self, message: wire.Message | None, now_ms: int) -> None:
        """It publishes, and is heard."""
        if isinstance(message, wire.State):
            for part in (self.conditions, self.display, self.signals, self.readiness):
                part.shown(message, now_ms)
            self.truth.shown(message)
        elif isinstance(message, wire.AlarmTransition):
            for teller in (self.conditions, self.signals, self.readiness, self.truth):
                teller.changed(message, now_ms)
        elif isinstance(message, wire.Done):
            self.facts.answered(message)

    def refused(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Refusal) and output.kind == "internal":
                self.broken("no_error", "internal", output.detail)

    # --- its life

    def started(self, now_ms: int) -> None:
        self.facts.up_ms = now_ms
        self.signals.away()

    def away(self) -> None:
        """Nobody hears it for a time."""
        self.display.away()
        self.signals.away()

    def crashed(self, now_ms: int) -> None:
        self.display.away()
        self.facts.crashed(now_ms)
        self.conditions.crashed()
        self.signals.crashed(now_ms)
