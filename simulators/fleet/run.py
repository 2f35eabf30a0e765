"""`chairside fleet`: loads a gateway for some seconds and says what came back of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import resource
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from gateway import wire
from simulators.fleet.board import Board
from simulators.fleet.ledger import Ledger, late
from simulators.fleet.patient import Course, Patient
from simulators.fleet.report import Report, as_json, show
from simulators.fleet.screen import Screen
from simulators.fleet.site import SITE, Address, address, chairs
from simulators.fleet.stack import Stack, StackError
from simulators.fleet.ward import Ward, now_ms

HEARTBEAT_S_MAX = 30.0
CONNECT_S_MAX = 60.0
SESSIONS_S_MAX = 120.0
SETTLE_S_MAX = 30.0
END_S_MAX = 30.0
DESATURATION_RULE = "spo2_low"
FLOOR_PCT_MIN, FLOOR_PCT_MAX = 76.0, 83.0
"""Below the limit of the high level, whose alarm has no delay."""
FILES_SPARE = 64


class Load(Struct, frozen=True):
    """What is asked of a run. `alarms` is the share of chairs that desaturate."""

    chairs: int
    rate_hz: float
    seconds: float
    alarms: float


def fleet(load: Load, broker_url: str | None, json_file: Path | None, console: Console | None = None) -> int:
    """Returns the exit code: 1 if a record or an alarm was lost, the rate was not held, or a part failed."""
    console = console or Console(highlight=False)
    try:
        _allow_files(load.chairs)
        if broker_url is not None:
            report = asyncio.run(_Run(load, address(broker_url), None, console.print).run())
        else:
            with tempfile.TemporaryDirectory(prefix="chairside-fleet-") as folder:
                console.print("Starting a broker and a gateway ...")
                with Stack(Path(folder), load.chairs) as stack:
                    report = asyncio.run(_Run(load, address(stack.url), stack, console.print).run())
    except (StackError, RuntimeError, OSError) as error:
        console.print(f"[red]The run stopped:[/] {error or type(error).__name__}")
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 1
    show(report, console)
    if json_file is not None:
        try:
            json_file.write_bytes(as_json(report))
        except OSError as error:
            console.print(f"[red]The report is not written:[/] {error}")
            return 1
    return 1 if report.faults else 0


class _Run:
    """One run in one event loop."""

    def __init__(self, load: Load, broker: Address, stack: Stack | None, say: Callable[[str], None]) -> None:
        self._load, self._stack, self._say = load, stack, say
        self._chairs = chairs(load.chairs)
        self._measured_s, self._alone_spells = 0.0, 0
        chance = random.Random(load.chairs)
        falling = set(chance.sample(sorted(self._chairs), round(load.alarms * load.chairs)))
        began_ms = int(now_ms()) - 1_000
        self._falling = {chair: self._chairs[chair] for chair in falling}
        self._boards = {
            chair: Board(device, secrets.token_hex(8), _patient(load, chair in falling, chance), chance, began_ms)
            for chair, device in self._chairs.items()
        }
        self._ledger = Ledger({board.device: board.boot for board in self._boards.values()})
        self._screen = Screen(SITE, broker, self._ledger)
        self._ward = Ward(list(self._boards.values()), load.rate_hz, broker, self._ledger)

    async def run(self) -> Report:
        """Raises RuntimeError or OSError, in words, if the run could not be made."""
        tending: asyncio.Task[None] | None = None
        try:
            await _within("a gateway's heartbeat", self._screen.connect(HEARTBEAT_S_MAX))
            tending = asyncio.create_task(self._tend_screen())
            await _within("every board's connection", self._ward.connect(CONNECT_S_MAX))
            self._say(f"{self._load.chairs} boards are connected.")
            self._ward.speak()
            pressures = {chair: (b.patient.sys_mmhg, b.patient.dia_mmhg) for chair, b in self._boards.items()}
            sessions = self._screen.begin(list(self._chairs), pressures, SESSIONS_S_MAX)
            await _within("the gateway's answers", sessions)
            self._say(f"Each has a session. Measuring for {self._load.seconds:g} s ...")
            cores = await self._measure()
            await self._settle()
            report = self._report(cores)
            if self._stack is None:
                await self._end_sessions()
            return report
        finally:
            if tending is not None:
                tending.cancel()
            self._ward.leave()
            self._screen.close()
            await asyncio.sleep(0)  # the sockets close in the next turn of the loop

    async def _measure(self) -> dict[str, float]:
        """Returns the cores that each part used meanwhile."""
        # What exists now stays: a collection over a thousand boards would stop them all for a moment.
        gc.collect()
        gc.freeze()
        before, alone_before = self._cpu_s(), self._alone()
        for board in self._boards.values():
            board.patient.begin()
        began_s = time.monotonic()
        self._ledger.open = True
        await asyncio.sleep(self._load.seconds)
        self._ledger.open = False
        self._alone_spells = self._alone() - alone_before
        passed_s = self._measured_s = time.monotonic() - began_s
        return {name: round((used - before[name]) / passed_s, 3) for name, used in self._cpu_s().items()}

    async def _settle(self) -> None:
        """The boards go on, as boards do, until what was made in the measured time is covered and shown."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S_MAX):
                while self._ledger.unacked or self._ledger.unshown or len(self._raised()) < len(self._falling):
                    self._check()
                    await asyncio.sleep(0.1)

    async def _end_sessions(self) -> None:
        """A gateway that does not answer any more is told by the report."""
        try:
            await _within("the end of the sessions", self._screen.end(END_S_MAX))
        except RuntimeError as error:
            self._say(str(error))

    async def _tend_screen(self) -> None:
        while True:
            self._screen.tend()
            await asyncio.sleep(2)

    def _check(self) -> None:
        if self._stack is not None:
            self._stack.check()
        if self._screen.lost:
            raise RuntimeError("the screen's connection to the broker was lost: what it did not see cannot be counted")

    def _cpu_s(self) -> dict[str, float]:
        mine = {"fleet": time.process_time()}
        return mine if self._stack is None else mine | self._stack.cpu_s()

    def _alone(self) -> int:
        return sum(board.alone_spells for board in self._boards.values())

    def _raised(self) -> dict[str, tuple[float, wire.AlarmTransition]]:
        """The first alarm of each chair whose patient desaturates, with when it came."""
        raised: dict[str, tuple[float, wire.AlarmTransition]] = {}
        for at_ms, alarm in self._screen.alarms:
            if alarm.what == "raised" and alarm.rule == DESATURATION_RULE and alarm.chair in self._falling:
                raised.setdefault(alarm.chair, (at_ms, alarm))
        return raised

    def _others(self) -> dict[str, int]:
        others: dict[str, int] = {}
        for _, alarm in self._screen.alarms:
            if alarm.what == "raised" and not (alarm.rule == DESATURATION_RULE and alarm.chair in self._falling):
                others[alarm.rule] = others.get(alarm.rule, 0) + 1
        return others

    def _report(self, cores: dict[str, float]) -> Report:
        load, ledger = self._load, self._ledger
        self._check()
        beat = self._screen.heartbeat or wire.Heartbeat(run="", online=False)
        return Report(
            chairs=load.chairs,
            rate_hz=load.rate_hz,
            seconds=load.seconds,
            broker=self._stack.broker if self._stack else "a broker of yours",
            made=ledger.made,
            rate_ratio=round(ledger.rate_ratio(self._measured_s), 4),
            vitals_per_s=round(ledger.made["vitals"] / self._measured_s, 1),
            resent=ledger.resent,
            unacked=ledger.unacked,
            unjournaled=self._unjournaled(),
            dropped=sum(board.outbox.dropped for board in self._boards.values()),
            states=self._screen.states,
            unshown=ledger.unshown,
            to_state=late(ledger.state_ms),
            to_ack=late(ledger.ack_ms),
            alarms_due=len(self._falling),
            alarms_raised=len(self._raised()),
            alarms_other=self._others(),
            to_alarm=late(self._alarm_delays_ms()),
            alone=self._alone_spells,
            reconnects=sum(bed.reconnects for bed in self._ward.beds),
            refused=beat.refused,
            gateway_dropped=beat.dropped,
            queued_max=self._screen.queued_max,
            cores=cores,
        )

    def _alarm_delays_ms(self) -> list[float]:
        """Of the alarms that have no delay of their own: from the write of the reading that they name."""
        delays_ms = []
        for at_ms, alarm in self._raised().values():
            if alarm.level == "high" and isinstance(alarm.value, float):
                said_ms = self._ledger.said_ms(alarm.device, alarm.value)
                delays_ms += [] if said_ms is None else [at_ms - said_ms]
        return delays_ms

    def _unjournaled(self) -> int | None:
        if self._stack is None:
            return None
        stored = self._stack.stored()
        return sum(
            (device, self._ledger.boots[device], seq) not in stored
            for device, seqs in self._ledger.seqs.items()
            for seq in seqs
        )


def _patient(load: Load, falling: bool, chance: random.Random) -> Patient:
    """One who desaturates does so in the first half, so that the alarm falls into the measured time."""
    if not falling:
        return Patient(chance)
    falls_s = min(20.0, load.seconds / 4)
    begins_s = chance.uniform(0, load.seconds / 2 - falls_s)
    return Patient(chance, Course(begins_s, falls_s, chance.uniform(FLOOR_PCT_MIN, FLOOR_PCT_MAX)))


async def _within(what: str, work: object) -> None:
    try:
        await work  # type: ignore[misc]
    except TimeoutError:
        raise RuntimeError(f"waited in vain for {what}; a gateway of yours needs the file of --write-config") from None


def _allow_files(boards: int) -> None:
    """A connection is an open file. Raises OSError, in words, if the system allows too few."""
    needed = boards + FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OSError(f"{boards} connections need {needed} open files and this system allows {hard} (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
