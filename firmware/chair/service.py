"""The link and the update, and nothing else: what runs in safe mode, and while an update comes.

The cuff stays as the base left it, pump off and valves open, and no sensor is asked. The board tells so, answers
commands, still passes on the call button, and shows yellow and cyan by turns. In safe mode it also has the console,
where that is open; a session forbids it nothing, for nobody is measured.

    safe mode   after three bad starts in a row. Ends with an update, a commanded restart or a power cycle; crashes
                and the watchdog lead back into it.
    updating    a start that chair/app.py asked for when an update began, because a program that measures leaves no
                room for one. Ends with the update, when a session begins, or after two minutes without a step.
"""

import asyncio
import gc

import slots
from chair import health, wire
from chair.commands import Commands
from chair.link import Link
from chair.outbox import Outbox
from micropython import const

_WATCHDOG_MS = const(5000)
_TURN_MS = const(100)
_LAMP_MS = const(1000)
_UPDATING_MS_MAX = const(120000)


def run(board, block):
    """Never returns; raises what stopped it."""
    asyncio.run(Service(board, block).run())


class Service:
    """What the link needs of the program, and no more."""

    def __init__(self, board, block):
        self._board = board
        from chair import config  # here, because it is let go again

        self._config = config.load_config()
        config.forget()
        self._clock = health.UpClock()
        self._boot = health.new_boot()
        self._crash_text = health.crash()
        self._commands = Commands(self._boot)
        self._decoder = wire.Decoder()
        self._step_ms = self._clock.up_ms()
        self._restart_ms = None
        self._failure = None
        self._outbox = Outbox(self._boot, block)
        self._link = Link(board, self._config, self._boot, self._outbox, self._clock, self)

    async def run(self):
        self._event("start", self._board.reset_cause(), self._crash_text)
        if slots.life.undone:
            self._event("update", "undone", slots.life.undone)
        self._event("update" if slots.life.updating else "fault", self._mode)
        self._board.start_watchdog(_WATCHDOG_MS)
        link = self._link
        parts = [link.run(), link.send(), link.tend()]
        if health.console_open(self._config, self._board) and slots.life.safe_mode:
            from chair.console import Console

            parts.append(Console(self._board, self._identity, clock=self._clock).run())
        self._tasks = [asyncio.create_task(self._guarded(part)) for part in parts]
        called = False
        while self._failure is None:
            await asyncio.sleep_ms(_TURN_MS)
            self._board.feed()
            now_ms = self._clock.up_ms()
            cyan = now_ms // _LAMP_MS % 2
            self._board.lamps(False, not cyan, cyan)
            call = self._board.buttons()[1]
            if call and not called:
                self._event("button", "call")
            called = call
            if slots.life.updating and now_ms - self._step_ms > _UPDATING_MS_MAX:
                self._restart(now_ms)
            if self._restart_ms is not None and now_ms >= self._restart_ms:
                self._board.reset()
        raise self._failure

    async def _guarded(self, part):
        try:
            await part
        except Exception as error:  # noqa: BLE001  (whatever it is, main.py restarts the board)
            self._failure = error

    @property
    def _mode(self):
        return "updating" if slots.life.updating else "safe_mode"

    def _restart(self, at_ms):
        slots.life.mean_it()
        self._restart_ms = at_ms

    def _event(self, kind, name, detail=None):
        self._link.add(wire.EVENT, wire.event_body(self._clock.up_ms(), kind, name, detail=detail))

    # ---- what the link asks and brings --------------------------------------------------------------------

    def may_block(self):
        return True

    def may_restart(self):
        return False

    def condition(self):
        return self._mode

    def status(self):
        gc.collect()
        return {
            "reset_cause": "crash" if self._crash_text else self._board.reset_cause(),
            "up_ms": self._clock.up_ms(),
            "faults": [self._mode],
            "heap_free_bytes": gc.mem_free(),
            "dropped": self._outbox.dropped,
            "boots": slots.life.boots,
            "safe_mode": slots.life.safe_mode,
            "slot": slots.life.slot,
            "security": slots.life.security,
        }

    def _identity(self):
        return dict(self.status(), device=self._config.device, boot=self._boot)

    def link_up(self):
        health.forget_crash()
        slots.life.told()

    def link_event(self, name, detail, value):
        self._event("link", name, detail)

    def take(self, leaf, payload, retained):
        now_ms = self._clock.up_ms()
        try:
            if leaf == "ack" and not retained:
                ack = self._decoder.ack(payload)
                self._outbox.ack(ack, now_ms)
            elif leaf == "annunciate":
                session = self._decoder.annunciate(payload)["session"]
                if slots.life.updating and session and not retained and slots.life.withdraw():
                    self._restart(now_ms)  # somebody is to be watched, by what has proved itself
            elif leaf == "cmd" and not retained:
                command = self._decoder.cmd(payload)
                self._link.reply(command["id"], self._obey(command, now_ms))
        except wire.Refused:
            pass  # as in chair/app.py

    def _obey(self, command, now_ms):
        """Do what is commanded. Returns why not, or ""."""
        reason = self._commands.refusal(command, "", now_ms)
        if reason:
            return reason
        if command["kind"] == "update":
            from chair import update  # 12 KB of heap, for updates only

            fields = command.get("update")
            self._step_ms = now_ms
            reason = update.step(fields, slots.life)
            if not reason and (fields["step"] == "apply" or (fields["step"] == "cancel" and slots.life.updating)):
                self._restart(now_ms + 1000)  # so that the answer is out
        elif command["kind"] == "reboot":
            self._restart(now_ms + 1000)
        else:
            reason = self._mode
        return reason
