"""`chairside demo`: tells the story, says what was seen, and exits 0 only if all of it was and nothing was lost."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway import wire
from simulators.demo import story
from simulators.demo.nurse import Nurse, Say
from simulators.demo.stack import CHAIRS, SITE, Stack, StackError
from simulators.demo.watch import Watch, flat, percentile
from simulators.process import BoardError

SETTLE_S_MAX = 10.0
GRACE_S = 60.0
STEP_S_MAX = 1.0
MARKS = {"high": "[bold red]***[/]", "medium": "[bold yellow]** [/]", "low": "[cyan]*  [/]", "none": "   "}
RECORDS = ("vitals", "cuff", "event")


@dataclass
class Result:
    missed: list[str]
    published: int
    lost: int
    unshown: int
    latencies_ms: list[float]

    @property
    def good(self) -> bool:
        return not self.missed and self.lost == 0 and self.published > 0


def demo(
    seconds: float | None = None,
    broker_url: str | None = None,
    port: int = 8080,
    influx_url: str | None = None,
    console: Console | None = None,
) -> int:
    """The whole story; without `seconds` the chairs stay up afterwards until Ctrl-C. Returns the exit code."""
    console = console or Console(highlight=False)
    # Six boards' worlds share this interpreter with the screen that measures: let none hold it for long.
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(prefix="chairside-demo-") as folder:
        console.print("Starting a broker, the gateway, the wall page and six simulated chairs ...")
        stack = Stack(Path(folder), broker_url=broker_url, influx_url=influx_url, web_port=port)
        try:
            with stack:
                return _told(stack, seconds, console)
        except (StackError, BoardError, TimeoutError) as error:
            console.print(f"[red]The demo stopped:[/] {escape(str(error))}", soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            console.print("\nStopped.")
            return 0


def _told(stack: Stack, seconds: float | None, console: Console) -> int:
    began = time.monotonic()

    def say(text: str, chair: str = "", level: str = "none") -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {chair:6}  {MARKS[level]} {text}", soft_wrap=True)

    def alarm(a: wire.AlarmTransition) -> None:
        numbers = f" {a.value:.0f} {a.unit or ''} (limit {a.limit:g})" if isinstance(a.value, float) else ""
        say(f"{a.what}: {a.reason}{numbers}", a.chair, a.level if a.what in ("raised", "level") else "none")

    watch = Watch(SITE, stack.broker, alarm)
    try:
        console.print(f"\n  The wall:  [bold]{stack.web_url}[/]\n  NOT a certified medical device.\n")
        story.patients(stack)
        begin(stack, watch)
        say("every chair is live and has a session")
        _tell(stack, watch, seconds or story.FULL_S, short=(seconds or story.FULL_S) < story.FULL_S, say=say)
        result = _summary(stack, watch)
        _print(console, watch, result)
        if seconds is None:
            console.print(f"\nThe chairs stay up: {stack.web_url}  (Ctrl-C ends the demo)")
            while True:
                stack.check()
                time.sleep(1)
        return 0 if result.good else 1
    finally:
        watch.close()


def begin(stack: Stack, watch: Watch) -> None:
    """Once the gateway speaks and the screen hears it, the boards are switched on: what they publish has somebody to
    judge and to see it. As soon as every chair is live, a session begins in each."""

    def live(chair: str) -> bool:
        state = watch.states.get(chair)
        return state is not None and isinstance(state.vitals, wire.VitalsView) and state.vitals.freshness == "live"

    if not watch.wait(lambda: watch.heartbeat is not None and watch.heartbeat.online, 60):
        stack.check()
        raise StackError("the gateway said nothing within 60 s")
    stack.power_on()
    for chair in CHAIRS:
        if not watch.wait(lambda: live(chair), 60):  # noqa: B023
            stack.check()
            raise StackError(f"{chair} sent no vitals within 60 s")
    for chair in CHAIRS:
        watch.act(chair, story.start(chair))


def _tell(stack: Stack, watch: Watch, seconds: float, *, short: bool, say: Say) -> None:
    """Plays the beats for so long; and, where the machine was too busy for the story, a little longer."""
    beats = sorted(story.BEATS, key=lambda beat: beat.short_s if short else beat.full_s)
    nurse = Nurse(watch, say)
    waiting = False
    passed, looked = 0.0, time.monotonic()
    while passed < seconds + (GRACE_S if waiting else 0):
        # A computer that slept takes the story up where it was.
        passed += min(time.monotonic() - looked, STEP_S_MAX)
        looked = time.monotonic()
        while beats and (beats[0].short_s if short else beats[0].full_s) <= passed:
            beat = beats.pop(0)
            say(beat.tells, beat.chair)
            beat.does(stack, watch)
        nurse.rounds(passed)
        stack.check()
        watch.wait(lambda: False, 0.2)
        missed = _missed(watch) if passed > seconds - 1 else []
        if missed and not waiting:
            say(f"waiting a little longer for: {', '.join(missed)}")
        waiting = bool(missed)


def _missed(watch: Watch) -> list[str]:
    return [expected.what for expected in story.EXPECTED if not expected.seen(watch)]


def _summary(stack: Stack, watch: Watch) -> Result:
    """Counts after the last records had time to reach the disk."""
    published = {
        (board.device, record.boot, record.seq)
        for board in stack.boards.values()
        for message in board.published
        if (leaf := message.topic.rsplit("/", 1)[1]) in RECORDS
        for record in [wire.decode(message.payload, wire.BOARD_TOPICS[leaf])]
        if isinstance(record, wire.Record)
    }
    end = time.monotonic() + SETTLE_S_MAX
    while (lost := published - _stored(stack.journal)) and time.monotonic() < end:
        time.sleep(0.25)
    latencies = {chair: watch.latencies_ms(board.device, board.published) for chair, board in stack.boards.items()}
    return Result(
        missed=_missed(watch),
        published=len(published),
        lost=len(lost),
        unshown=sum(unshown for _, unshown in latencies.values()),
        latencies_ms=flat(shown for shown, _ in latencies.values()),
    )


def _stored(journal: Path) -> set[tuple[str, str, int]]:
    uri = f"file:{journal}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=5)
    try:
        return set(connection.execute("SELECT device, boot, seq FROM rows WHERE seq > 0"))
    finally:
        connection.close()


def _print(console: Console, watch: Watch, result: Result) -> None:
    table = Table(title="What was seen", title_justify="left", show_header=False)
    for expected in story.EXPECTED:
        table.add_row("[red]MISSED[/]" if expected.what in result.missed else "[green]seen[/]", expected.what)
    console.print(table)
    raised = [alarm for alarm in watch.alarms if alarm.what == "raised"]
    counts = Table(title="In numbers", title_justify="left", show_header=False)
    counts.add_row("records published by the boards", str(result.published))
    counts.add_row("of them lost", f"[red]{result.lost}[/]" if result.lost else "0")
    counts.add_row("alarms raised", str(len(raised)))
    counts.add_row("readiness changes", str(len(watch.readiness)))
    if result.latencies_ms:
        p50, p99 = (percentile(result.latencies_ms, pct) for pct in (50, 99))
        counts.add_row(
            "board publish to state on a screen", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms ({len(result.latencies_ms)})"
        )
    counts.add_row("vitals without a state of their own", str(result.unshown))
    if watch.heartbeat is not None:
        counts.add_row("refused by the gateway", str(sum(watch.heartbeat.refused.values())))
    console.print(counts)
    console.print("[green]The demo was as it should be.[/]" if result.good else "[red]The demo failed.[/]")
