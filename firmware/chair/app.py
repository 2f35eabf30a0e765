"""The chair's program: puts the parts together, tells the gateway what they found, and does what it is told.

    hardware timer, 20 ms   the cuff's supervisor, whatever the rest is doing
    finger, 80 ms           oximeter FIFO (full after 320 ms) into the signal processing
    vitals, 1 s             one record, a value or the reason why there is none
    arm, 100 ms             schedule, results, and a chip that did not answer is tried again
    panel, 25 ms            lamp, sounder, buttons
    link                    see chair/link.py; nothing above waits for it

A chip that fails is a fault in the status and leaves the rest working. A programming error in any of these makes the
cuff safe and restarts the board (main.py).
"""

import asyncio
import gc

from micropython import const

# isort: off
import slots
from chair.finger import Finger  # the largest first, while the heap is in one piece
from chair.arm import Arm
from chair.link import Link
from chair import health, wire
from chair.annunciator import Annunciator
from chair.commands import Commands
from chair.memory import Memory
from chair.outbox import Outbox
from chair.panel import Panel
from chair.pleth import HZ
# isort: on

FIRMWARE = "0.1.0"

_WATCHDOG_MS = const(5000)
_WATCHDOG_MEASURING_MS = const(1000)  # until it bites, the pump of a board that hangs adds up to 15 mmHg to 280
_MEASURING_BYTES = const(8192)
_WAVEFORM_MS = const(30000)
_BLIND_MS_MAX = const(60000)  # the longest that a cuff may excuse the oximeter


def run(board, block):
    """Never returns; raises what stopped it, with the cuff's timer still running (main.py makes it safe)."""
    asyncio.run(App(board, block).run())


class App:
    """One boot of one board. `block` is the outbox's memory."""

    def __init__(self, board, block):
        from chair import config  # here, because it is let go again

        self._config = config.load_config()
        self._calibration, self._calibration_fault = config.load_calibration(self._config.device)
        self._calibration_status = config.calibration_status(self._calibration)
        config.forget()
        self._board = board
        self._clock = health.UpClock()
        self._boot = health.new_boot()
        self._crash_text = health.crash()
        now_ms = self._clock.up_ms()

        self._finger = Finger(board, self._calibration, self._clock, self._config.average_s)
        self._memory = Memory()
        self._annunciator = Annunciator(now_ms, self._memory)
        self._arm = Arm(board, self._calibration, self._clock, self._annunciator, self._measured)
        self._arm.schedule.told(self._memory.interval_s, self._memory.next_s, now_ms)
        self._panel = Panel(board, self._config, self._annunciator, self._clock, self._pressed)
        self._commands = Commands(self._boot)
        self._decoder = wire.Decoder()
        self._faults_told = set()
        self._refused = 0
        self._trust = health.Trust(slots.life)
        self._reboot_ms = None
        self._waveform_until_ms = 0
        self._failure = None
        self._console = None
        gc.collect()
        self._heap_free_bytes = gc.mem_free()  # after the last collection: what is really free

        self._outbox = Outbox(self._boot, block)
        self._link = Link(board, self._config, self._boot, self._outbox, self._clock, self)
        self._arm.held_off = lambda: self._link.shaking_hands

    async def run(self):
        self._event("start", self._board.reset_cause(), detail=self._crash_text)
        if slots.life.undone:
            self._event("update", "undone", detail=slots.life.undone)
        self._arm.begin()
        self._board.start_watchdog(_WATCHDOG_MS)
        progress = health.Progress(self._board.feed, ("sampler", "supervisor", "main"))
        link = self._link
        parts = [
            self._finger.run(lambda: progress.moved("sampler")),
            self._tell_vitals(),
            self._arm.run(),
            self._panel.run(),
            link.run(),
            link.send(),
            link.tend(),
        ]
        if health.console_open(self._config, self._board):
            from chair.console import Console

            self._console = Console(
                self._board, self._identity, self._finger, self._arm, self._annunciator, self._clock
            )
            parts.append(self._console.run())
        self._tasks = [asyncio.create_task(self._guarded(part)) for part in parts]  # held: the loop holds only some
        measuring = False
        while self._failure is None:
            await asyncio.sleep_ms(250)
            progress.moved("main")
            if self._arm.measuring != measuring:
                measuring = not measuring
                self._board.start_watchdog(_WATCHDOG_MEASURING_MS if measuring else _WATCHDOG_MS)
                # The estimate makes much garbage: collected early, it leaves the heap in larger pieces.
                gc.threshold(_MEASURING_BYTES if measuring else -1)
            self._tell_faults()
            if self._memory.expires(self._annunciator.alone, self._clock.up_ms()):
                self._annunciator.forget()
                self._arm.schedule.told(0, None, self._clock.up_ms())
            if self._arm.supervised:
                self._arm.supervised = False
                progress.moved("supervisor")
            self._failure = self._failure or self._arm.failure
            self._live_on()
        raise self._failure

    async def _guarded(self, part):
        try:
            await part
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self._failure = error

    def _live_on(self):
        """Confirm or undo an update when it is time, and restart when that is commanded."""
        now_ms = self._clock.up_ms()
        session = self._annunciator.session
        verdict = self._trust.tick(now_ms, not self._annunciator.alone, self._arm.empty, session)
        if verdict == "undo":
            self._board.reset()
        elif verdict:
            self._event("update", "confirmed", detail=verdict.split()[1])
        if self._reboot_ms is not None and now_ms >= self._reboot_ms and self._arm.empty:
            self._board.reset()

    # ---- what the parts found -----------------------------------------------------------------------------

    async def _tell_vitals(self):
        next_ms = self._clock.up_ms() + 1000
        while True:
            await asyncio.sleep_ms(max(0, next_ms - self._clock.up_ms()))
            now_ms = self._clock.up_ms()
            next_ms = max(next_ms + 1000, now_ms + 500)  # after a pause, no burst to catch up
            # Once a second and early, so that the heap stays in one piece and no collection takes long.
            gc.collect()
            self._heap_free_bytes = gc.mem_free()
            reading = self._reading(now_ms)
            body = wire.vitals_body(
                now_ms,
                self._finger.age_ms(now_ms),
                reading,
                self._arm.state,
                self._arm.pressure_mmhg,
                self._panel.seat,
            )
            self._add(wire.VITALS, body)
            if now_ms < self._waveform_until_ms:
                self._link.tell("waveform", wire.waveform(self._boot, now_ms, HZ, self._finger.waveform()))
            self._alarm(self._annunciator.judge(reading, now_ms))

    def _reading(self, now_ms):
        reading = self._finger.reading()
        held_ms = self._arm.held_ms(now_ms)
        held = self._config.same_limb and held_ms is not None and held_ms <= _BLIND_MS_MAX
        if held and "oximeter" not in self._finger.faults:
            return {"quality": "cuff_hold", "sqi_pct": 0}
        return reading

    def _measured(self, result, now_ms):
        gc.collect()  # a record of a measurement needs the largest pieces of all
        self._add(wire.CUFF, wire.cuff_body(now_ms, 0, result))
        self._alarm(self._annunciator.judge_cuff(result, now_ms))

    def _alarm(self, begun):
        for name, value, limit, unit in begun:
            self._event("local_alarm", name, value, limit, unit)

    def _pressed(self, button):
        self._event("button", button)

    def _faults(self):
        return self._finger.faults | self._arm.faults | self._panel.faults | self._memory.faults

    def _tell_faults(self):
        faults = self._faults()
        for fault in sorted(faults - self._faults_told):
            self._event("fault", fault)
        self._faults_told = faults

    def _event(self, kind, name, value=None, limit=None, unit=None, detail=None):
        body = wire.event_body(self._clock.up_ms(), kind, name, value, limit, unit, detail)
        self._add(wire.EVENT, body)

    def _add(self, kind, body):
        """A record for the gateway, and for a bench that listens."""
        self._link.add(kind, body)
        if self._console and self._console.listener:
            self._console.listener(kind, body)

    # ---- what the link asks and brings --------------------------------------------------------------------

    def may_block(self):
        """Whether connecting, which stops the program for seconds, is safe now."""
        return self._arm.empty

    def may_restart(self):
        """Whether nobody needs the board now: the link may then try a restart of the whole."""
        return self._arm.empty and not self._annunciator.session

    def condition(self):
        """What the status must tell as soon as it changes."""
        return sorted(self._faults()), slots.life.security

    def status(self):
        faults = sorted(self._faults())
        if self._calibration_fault:
            faults.append(self._calibration_fault)
        status = {
            "firmware": FIRMWARE,
            "reset_cause": "crash" if self._crash_text else self._board.reset_cause(),
            "up_ms": self._clock.up_ms(),
            "calibration": self._calibration_status,
            "faults": faults,
            "heap_free_bytes": self._heap_free_bytes,
            "dropped": self._outbox.dropped,
            "refused": self._refused,
            "boots": slots.life.boots,
            "slot": slots.life.slot,
            "security": slots.life.security,
        }
        if self._panel.battery_pct is not None:
            status["battery_pct"] = self._panel.battery_pct
        rssi_dbm = self._board.rssi_dbm()
        if rssi_dbm is not None:
            status["rssi_dbm"] = rssi_dbm
        return status

    def _identity(self):
        """What the console tells of this board beside its processor."""
        return dict(self.status(), device=self._config.device, boot=self._boot, session=self._annunciator.session)

    def link_up(self):
        """The status is with the broker: what it said of the last crash need not be said again."""
        health.forget_crash()
        slots.life.told()

    def link_event(self, name, detail, value):
        self._event("link", name, value=value, unit="s" if value is not None else None, detail=detail)

    def take(self, leaf, payload, retained):
        """A message of the gateway. What does not fit the contract changes nothing."""
        now_ms = self._clock.up_ms()
        try:
            if leaf == "ack":
                ack = self._decoder.ack(payload)
                if not retained:
                    self._outbox.ack(ack, now_ms)
            elif leaf == "annunciate":
                self._annunciate(self._decoder.annunciate(payload), retained, now_ms)
            elif leaf == "cmd" and not retained:
                command = self._decoder.cmd(payload)
                self._link.reply(command["id"], self._obey(command, now_ms))
        except wire.Refused:
            self._refused += 1  # the next good one is handled

    def _annunciate(self, message, retained, now_ms):
        session, interval_s = self._memory.session, self._memory.interval_s
        alive = self._annunciator.told(message, retained, now_ms)
        if self._memory.session != session:
            self._arm.forget()
        if alive:
            self._arm.schedule.told(message["cuff_interval_s"], message.get("cuff_next_s"), now_ms)
        elif (self._memory.session, self._memory.interval_s) != (session, interval_s):
            self._arm.schedule.told(self._memory.interval_s, self._memory.next_s, now_ms)

    def _obey(self, command, now_ms):
        """Do what is commanded. Returns why not, or ""."""
        reason = self._commands.refusal(command, self._annunciator.session, now_ms)
        if reason:
            return reason
        kind = command["kind"]
        if kind == "measure":
            return self._arm.start("command")
        if kind == "abort":
            self._arm.abort("aborted")
        elif kind == "waveform":
            self._waveform_until_ms = now_ms + _WAVEFORM_MS
        elif kind == "identify":
            self._annunciator.identify(now_ms)
        elif kind == "reboot":
            if not self._arm.empty:
                return "busy"
            slots.life.mean_it()
            self._reboot_ms = now_ms + 1000  # so that the answer is out
        elif kind == "update":
            if self._annunciator.session or not self._arm.empty:
                return "busy"
            if slots.life.trial:
                return "trial"
            if command.get("update", {}).get("step") != "begin":
                return "no_manifest"
            slots.life.make_room()
            self._reboot_ms = now_ms + 1000
            return "restart"
        return ""
