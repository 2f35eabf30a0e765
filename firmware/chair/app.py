"""The chair's program: samples the finger, runs the cuff, tells the gateway, shows its alarms.

    hardware timer, 20 ms   the cuff's supervisor, whatever the rest is doing
    sample, 80 ms           oximeter FIFO (full after 320 ms) into the signal processing
    vitals, 1 s             one record, a value or the reason why there is none
    cuff, 100 ms            schedule, results, and a chip that did not answer is tried again
    signal, 25 ms           lamp, sounder, buttons
    link                    see chair/link.py; nothing above waits for it

A chip that fails is a fault in the status and leaves the rest working. A programming error in any of these makes the
cuff safe and restarts the board (main.py).
"""

import asyncio
import gc
import time
from array import array

from chair import config, health, pins, wire
from chair.annunciator import Annunciator
from chair.commands import Commands
from chair.cuff import Cuff
from chair.link import Link
from chair.outbox import Outbox
from chair.oximetry import Oximeter
from chair.schedule import Schedule
from drivers.ads1115 import Ads1115
from drivers.max30102 import DEPTH, Max30102
from drivers.mpx5050 import Mpx5050

FIRMWARE = "0.1.0"

_WATCHDOG_MS = 30000  # a name lookup without an answer blocks for up to 14 s
_SUPERVISE_MS = 20
_SAMPLE_MS = 80
_RETRY_MS = 3000
_BLIND_MS_MAX = 60000  # the longest that a cuff may excuse the oximeter
_SAFE_MMHG = 15


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

        self._oximeter = Oximeter(100, self._calibration)
        self._oximeter_chip = None
        self._sampled_ms = None  # of the newest sample; None until the first
        self._cuff = None  # until its converter answers
        self._held_since_ms = None

        self._annunciator = Annunciator(now_ms)
        self._schedule = Schedule()
        self._commands = Commands(self._boot)
        self._decoder = wire.Decoder(self._boot)
        self._faults = set()
        self._faults_told = set()
        self._reboot_ms = None
        self._failure = None
        self._supervised = False
        gc.collect()
        self._heap_free_bytes = gc.mem_free()  # after the last collection: what is really free

        self._outbox = Outbox(self._boot, block)
        self._link = Link(board, self._config, self._boot, self._outbox, self._clock, self)

    async def run(self):
        self._event("start", self._board.reset_cause(), detail=self._crash_text)
        self._open_cuff()
        self._board.every(_SUPERVISE_MS, self._supervise)
        self._board.start_watchdog(_WATCHDOG_MS)
        self._progress = health.Progress(self._board.feed, ("sampler", "supervisor", "main"))
        link = self._link
        parts = (self._sample, self._tell_vitals, self._run_cuff, self._signal, link.run, link.send, link.tend)
        self._tasks = [asyncio.create_task(self._guarded(part)) for part in parts]  # held: the loop holds only some
        while self._failure is None:
            await asyncio.sleep_ms(250)
            self._progress.moved("main")
            if self._supervised:
                self._supervised = False
                self._progress.moved("supervisor")
            if self._reboot_ms is not None and self._clock.up_ms() >= self._reboot_ms:
                self._board.reset()
        raise self._failure

    async def _guarded(self, part):
        try:
            await part()
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self._failure = error

    # ---- the cuff, beside everything else -----------------------------------------------------------------

    def _supervise(self):
        """Called by the hardware timer, between any two steps of the program."""
        self._supervised = True
        try:
            if self._cuff:
                self._cuff.tick(time.ticks_ms())
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self._failure = error

    def _open_cuff(self):
        try:
            converter = Ads1115(self._board.i2c, pins.PRESSURE_ADC_ADDRESS)
        except OSError:
            self._faults.add("pressure_adc")
            return
        self._faults.discard("pressure_adc")
        sensor = Mpx5050(converter, self._calibration.get("pressure"))
        self._cuff = Cuff(self._board, sensor, self._calibration)

    async def _run_cuff(self):
        tried_ms = 0
        while True:
            await asyncio.sleep_ms(100)
            now_ms = self._clock.up_ms()
            if self._cuff is None:
                if now_ms - tried_ms >= _RETRY_MS:
                    tried_ms = now_ms
                    self._open_cuff()
                continue
            state = self._cuff.state
            if state in ("idle", "fault"):
                self._held_since_ms = None
            else:
                self._schedule.busy(now_ms)
                if self._held_since_ms is None:
                    self._held_since_ms = now_ms
            for fault in [fault for fault in self._faults if fault.startswith("cuff_")]:
                self._faults.discard(fault)
            if state == "fault":
                self._faults.add("cuff_" + self._cuff.fault)
            self._cuff.poll()
            result = self._cuff.take_result()
            if result:
                self._link.add(wire.CUFF, wire.cuff_body(now_ms, 0, result))
                self._judge(result, now_ms)
            if self._schedule.due(now_ms):
                self._cuff.start("schedule")

    # ---- the finger ---------------------------------------------------------------------------------------

    async def _sample(self):
        red = array("i", bytes(4 * DEPTH))
        ir = array("i", bytes(4 * DEPTH))
        tried_ms = None
        since_ms = 0
        while True:
            now_ms = self._clock.up_ms()
            try:
                if self._oximeter_chip is None and (tried_ms is None or now_ms - tried_ms >= _RETRY_MS):
                    tried_ms = since_ms = now_ms
                    self._oximeter_chip = Max30102(self._board.i2c, pins.OXIMETER_ADDRESS)
                    self._oximeter.gap(DEPTH - 1)  # what it held is gone: no value may span the break
                if self._oximeter_chip:
                    count, lost = self._oximeter_chip.read(red, ir)
                    for i in range(count):
                        self._oximeter.feed(red[i], ir[i])
                    if lost:
                        self._oximeter.gap(lost)
                    if count:
                        self._sampled_ms = now_ms
                    if now_ms - since_ms >= _RETRY_MS:
                        self._faults.discard("oximeter")
            except OSError:
                self._oximeter_chip = None
                self._faults.add("oximeter")
            self._progress.moved("sampler")
            await asyncio.sleep_ms(_SAMPLE_MS)

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
            age_ms = 0 if self._sampled_ms is None else now_ms - self._sampled_ms
            cuff = self._cuff.state if self._cuff else "fault"
            mmhg = self._cuff.pressure_mmhg if self._cuff else None
            self._link.add(wire.VITALS, wire.vitals_body(now_ms, age_ms, reading, cuff, mmhg))
            self._judge(reading, now_ms)

    def _reading(self, now_ms):
        if self._oximeter_chip is None or self._sampled_ms is None:
            return {"quality": "sensor_fault", "sqi_pct": 0}
        reading = self._oximeter.reading()
        held_ms = 0 if self._held_since_ms is None else now_ms - self._held_since_ms
        if self._config.same_limb and self._held_since_ms is not None and held_ms <= _BLIND_MS_MAX:
            return {"quality": "cuff_hold", "sqi_pct": 0}
        return reading

    # ---- alarms, buttons ----------------------------------------------------------------------------------

    async def _signal(self):
        shown = None
        pressed_ms = {}
        held = (False, False)
        while True:
            now_ms = self._clock.up_ms()
            pressed = self._board.buttons()
            for name, down, before in zip(("acknowledge", "call"), pressed, held):
                # Once a second is a call; more would only push readings out of the outbox.
                if down and not before and now_ms - pressed_ms.get(name, -1000) >= 1000:
                    pressed_ms[name] = now_ms
                    self._event("button", name)
                    if name == "acknowledge":
                        self._annunciator.acknowledge(now_ms)
            held = pressed
            signal = self._annunciator.tick(now_ms)
            if signal != shown:
                shown = signal
                self._board.lamps(signal[0], signal[1], signal[2])
                self._board.tone(signal[3])
            faults = set(self._faults)
            for fault in faults - self._faults_told:
                self._event("fault", fault)
            self._faults_told = faults
            await asyncio.sleep_ms(25)

    def _judge(self, reading, now_ms):
        for name, value, limit, unit in self._annunciator.judge(reading, now_ms):
            self._event("local_alarm", name, value, limit, unit)

    def _event(self, kind, name, value=None, limit=None, unit=None, detail=None):
        body = wire.event_body(self._clock.up_ms(), kind, name, value, limit, unit, detail)
        self._link.add(wire.EVENT, body)

    # ---- what the link asks and brings --------------------------------------------------------------------

    def may_block(self):
        """Whether the program may stand still for seconds. In a fault the outputs are safe, and it must be told."""
        if self._cuff is None or self._cuff.state == "fault":
            return True
        mmhg = self._cuff.pressure_mmhg
        return self._cuff.state == "idle" and (mmhg is None or mmhg <= _SAFE_MMHG)

    def condition(self):
        """What the status must tell as soon as it changes."""
        return sorted(self._faults)

    def status(self):
        faults = sorted(self._faults)
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
                message = self._decoder.annunciate(payload)
                session = self._annunciator.session
                alive = self._annunciator.told(message, retained, now_ms)
                if self._annunciator.session != session and self._cuff:
                    self._cuff.forget()  # another patient: nothing of the last one's pressure sets the first target
                if alive:
                    self._schedule.told(message["cuff_interval_s"], message.get("cuff_next_s"), now_ms)
            elif leaf == "cmd" and not retained:
                command = self._decoder.cmd(payload)
                self._link.reply(command["id"], self._obey(command, now_ms))
        except wire.Refused:
            pass  # the next good one is handled; the gateway sees by acks, beats and replies what we did not take

    def _obey(self, command, now_ms):
        """Do what is commanded. Returns why not, or ""."""
        reason = self._commands.refusal(command, self._annunciator.session, now_ms)
        if reason:
            return reason
        kind = command["kind"]
        if kind == "measure":
            return self._cuff.start("command") if self._cuff else "fault"
        if kind == "abort":
            if self._cuff:
                self._cuff.abort("aborted")
        elif kind == "identify":
            self._annunciator.identify(now_ms)
        elif kind == "reboot":
            if self._cuff and self._cuff.state not in ("idle", "fault"):
                return "busy"
            self._reboot_ms = now_ms + 1000  # so that the answer is out
        return ""
