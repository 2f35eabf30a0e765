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

from chair import config, health, wire
from chair.annunciator import Annunciator
from chair.arm import Arm
from chair.commands import Commands
from chair.finger import Finger
from chair.link import Link
from chair.outbox import Outbox
from chair.panel import Panel

FIRMWARE = "0.1.0"

_WATCHDOG_MS = 30000  # a name lookup without an answer blocks for up to 14 s
_BLIND_MS_MAX = 60000  # the longest that a cuff may excuse the oximeter


def run(board, block):
    """Never returns; raises what stopped it, with the cuff's timer still running (main.py makes it safe)."""
    asyncio.run(App(board, block).run())


class App:
    """One boot of one board. `block` is the outbox's memory."""

    def __init__(self, board, block):
        self._config = config.load_config()
        self._calibration, self._calibration_fault = config.load_calibration(self._config.device)
        self._board = board
        self._clock = health.UpClock()
        self._boot = health.new_boot()
        self._crash_text = health.crash()
        now_ms = self._clock.up_ms()

        self._finger = Finger(board, self._calibration, self._clock)
        self._arm = Arm(board, self._calibration, self._clock, self._measured)
        self._annunciator = Annunciator(now_ms)
        self._panel = Panel(board, self._annunciator, self._clock, self._pressed)
        self._commands = Commands(self._boot)
        self._decoder = wire.Decoder(self._boot)
        self._faults_told = set()
        self._refused = 0
        self._reboot_ms = None
        self._failure = None
        gc.collect()
        self._heap_free_bytes = gc.mem_free()  # after the last collection: what is really free

        self._outbox = Outbox(self._boot, block)
        self._link = Link(board, self._config, self._boot, self._outbox, self._clock, self)

    async def run(self):
        self._event("start", self._board.reset_cause(), detail=self._crash_text)
        self._arm.begin()
        self._board.start_watchdog(_WATCHDOG_MS)
        progress = health.Progress(self._board.feed, ("sampler", "supervisor", "main"))
        link = self._link
        parts = (
            self._finger.run(lambda: progress.moved("sampler")),
            self._tell_vitals(),
            self._arm.run(),
            self._panel.run(),
            link.run(),
            link.send(),
            link.tend(),
        )
        self._tasks = [asyncio.create_task(self._guarded(part)) for part in parts]  # held: the loop holds only some
        while self._failure is None:
            await asyncio.sleep_ms(250)
            progress.moved("main")
            self._tell_faults()
            if self._arm.supervised:
                self._arm.supervised = False
                progress.moved("supervisor")
            self._failure = self._failure or self._arm.failure
            if self._reboot_ms is not None and self._clock.up_ms() >= self._reboot_ms:
                self._board.reset()
        raise self._failure

    async def _guarded(self, part):
        try:
            await part
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self._failure = error

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
                now_ms, self._finger.age_ms(now_ms), reading, self._arm.state, self._arm.pressure_mmhg
            )
            self._link.add(wire.VITALS, body)
            self._judge(reading, now_ms)

    def _reading(self, now_ms):
        reading = self._finger.reading()
        held_ms = self._arm.held_ms(now_ms)
        held = self._config.same_limb and held_ms is not None and held_ms <= _BLIND_MS_MAX
        if held and not self._finger.faults:
            return {"quality": "cuff_hold", "sqi_pct": 0}
        return reading

    def _measured(self, result, now_ms):
        self._link.add(wire.CUFF, wire.cuff_body(now_ms, 0, result))
        self._judge(result, now_ms)

    def _judge(self, reading, now_ms):
        for name, value, limit, unit in self._annunciator.judge(reading, now_ms):
            self._event("local_alarm", name, value, limit, unit)

    def _pressed(self, button):
        self._event("button", button)

    def _faults(self):
        return self._finger.faults | self._arm.faults

    def _tell_faults(self):
        faults = self._faults()
        for fault in sorted(faults - self._faults_told):
            self._event("fault", fault)
        self._faults_told = faults

    def _event(self, kind, name, value=None, limit=None, unit=None, detail=None):
        body = wire.event_body(self._clock.up_ms(), kind, name, value, limit, unit, detail)
        self._link.add(wire.EVENT, body)

    # ---- what the link asks and brings --------------------------------------------------------------------

    def may_block(self):
        """Whether connecting, which stops the program for seconds, is safe now."""
        return self._arm.empty

    def condition(self):
        """What the status must tell as soon as it changes."""
        return sorted(self._faults())

    def status(self):
        faults = sorted(self._faults())
        if self._calibration_fault:
            faults.append(self._calibration_fault)
        status = {
            "firmware": FIRMWARE,
            "reset_cause": "crash" if self._crash_text else self._board.reset_cause(),
            "up_ms": self._clock.up_ms(),
            "calibration": config.calibration_status(self._calibration),
            "faults": faults,
            "heap_free_bytes": self._heap_free_bytes,
            "dropped": self._outbox.dropped,
            "refused": self._refused,
        }
        rssi_dbm = self._board.rssi_dbm()
        if rssi_dbm is not None:
            status["rssi_dbm"] = rssi_dbm
        return status

    def link_up(self):
        """The status is with the broker: what it said of the last crash need not be said again."""
        health.forget_crash()

    def link_event(self, name, detail, value):
        self._event("link", name, value=value, unit="s" if value is not None else None, detail=detail)

    def take(self, leaf, payload, retained):
        """A message of the gateway. What does not fit the contract changes nothing."""
        now_ms = self._clock.up_ms()
        try:
            if leaf == "ack":
                ack = self._decoder.ack(payload)
                if not retained:
                    self._outbox.ack(ack["run"], ack["upto"], ack["have"], now_ms)
            elif leaf == "annunciate":
                self._annunciate(self._decoder.annunciate(payload), retained, now_ms)
            elif leaf == "cmd" and not retained:
                command = self._decoder.cmd(payload)
                self._link.reply(command["id"], self._obey(command, now_ms))
        except wire.Refused:
            self._refused += 1  # the next good one is handled

    def _annunciate(self, message, retained, now_ms):
        session = self._annunciator.session
        alive = self._annunciator.told(message, retained, now_ms)
        if self._annunciator.session != session:
            self._arm.forget()
        if alive:
            self._arm.schedule.told(message["cuff_interval_s"], message.get("cuff_next_s"), now_ms)

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
        elif kind == "identify":
            self._annunciator.identify(now_ms)
        elif kind == "reboot":
            if not self._arm.empty:
                return "busy"
            self._reboot_ms = now_ms + 1000  # so that the answer is out
        return ""
