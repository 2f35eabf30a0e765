"""What a run says at its end: as numbers for a program, as a table for a person, and what was wrong with it."""

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from simulators.fleet.ledger import Late

RATE_RATIO_MIN = 0.99


class Report(Struct, kw_only=True):
    """Counts are of the records made in the measured time, unless they say otherwise."""

    chairs: int
    rate_hz: float
    seconds: float
    broker: str
    made: dict[str, int]
    """Records by kind."""
    rate_ratio: float
    """1 if no board had to skip a reading."""
    vitals_per_s: float
    resent: int
    unacked: int
    """Never covered by an ack."""
    unjournaled: int | None
    """Not in the journal; unknown where the gateway is another's."""
    dropped: int
    """Given up by a full outbox, since the boards began."""
    states: int
    unshown: int
    """Vitals for which no state came, of their own or a later one."""
    to_state: Late | None
    to_ack: Late | None
    alarms_due: int
    alarms_raised: int
    """Of those due."""
    alarms_other: dict[str, int]
    """Raised on patients who were well, by rule."""
    to_alarm: Late | None
    """From the reading that crossed the limit to the alarm on a screen."""
    alone: int
    """How often a board found the gateway silent for 3 s."""
    reconnects: int
    refused: dict[str, int]
    """By the gateway, since it started."""
    gateway_dropped: dict[str, int]
    queued_max: dict[str, int]
    cores: dict[str, float]
    """Processor time per second of the measured time."""

    @property
    def lost(self) -> int:
        return max(self.unacked, self.unjournaled or 0) + self.dropped

    @property
    def faults(self) -> list[str]:
        """Why this run is a failure, in sentences."""
        words = []
        if self.lost:
            words.append(f"{self.lost} records were lost")
        if self.rate_ratio < RATE_RATIO_MIN:
            words.append(f"the rate was not held: {self.rate_ratio:.1%} of it, at least {RATE_RATIO_MIN:.0%}")
        if self.alarms_raised < self.alarms_due:
            words.append(f"{self.alarms_due - self.alarms_raised} alarms that were due never came")
        return words


def as_json(report: Report) -> bytes:
    body = msgspec.to_builtins(report) | {"lost": report.lost, "faults": report.faults}
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def show(report: Report, console: Console) -> None:
    table = Table(title="The fleet", title_justify="left", show_header=False)
    made = ", ".join(f"{count} {kind}" for kind, count in report.made.items() if count)
    asked = f"{report.vitals_per_s:g} of {report.chairs * report.rate_hz:g} vitals/s"
    table.add_row("asked", f"{report.chairs} chairs x {report.rate_hz:g} Hz x {report.seconds:g} s on {report.broker}")
    table.add_row("records made", made)
    table.add_row("rate held", f"{report.rate_ratio:.2%} ({asked})")
    table.add_row("lost", f"[red]{report.lost}[/]" if report.lost else "[green]0[/]")
    journaled = "unknown (another's gateway)" if report.unjournaled is None else str(report.unjournaled)
    table.add_row("  never acknowledged / not journaled", f"{report.unacked} / {journaled}")
    table.add_row("sent again", str(report.resent))
    table.add_row("states seen / vitals not shown", f"{report.states} / {report.unshown}")
    table.add_row("publish to state", _late(report.to_state))
    table.add_row("publish to ack (durable)", _late(report.to_ack))
    table.add_row("desaturations / alarms for them", f"{report.alarms_due} / {report.alarms_raised}")
    table.add_row("publish to alarm", _late(report.to_alarm))
    table.add_row("alarms on the others", _counts(report.alarms_other) or "none")
    table.add_row("boards alone / reconnects", f"{report.alone} / {report.reconnects}")
    table.add_row(
        "gateway refused / dropped", f"{_counts(report.refused) or 0} / {_counts(report.gateway_dropped) or 0}"
    )
    table.add_row("gateway queues, highest", _counts(report.queued_max) or "empty")
    table.add_row("processor cores used", ", ".join(f"{name} {share:.2f}" for name, share in report.cores.items()))
    console.print(table)
    for fault in report.faults:
        console.print(f"[red]{fault}[/]")
    if not report.faults:
        console.print("[green]Nothing was lost and the rate was held.[/]")


def _late(late: Late | None) -> str:
    if late is None:
        return "never seen"
    return f"p50 {late.p50_ms:g}, p95 {late.p95_ms:g}, p99 {late.p99_ms:g}, max {late.max_ms:g} ms"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)
