"""The console: JSON lines over the USB serial line, for the bench. Loaded only where the configuration asks for it.

    {"id": 1, "do": "identity"}                  a request, at most LINE_MAX bytes
    {"id": 1, "ok": true, "device": ...}         its answer, always one
    {"id": 1, "ok": false, "error": "..."}       the same, refused
    {"id": 1, "up_ms": ..., ...}                 before it, from one that lasts; the next request ends it

While a session runs, whatever moves air, writes flash, restarts or takes a chip away is refused. The pump moves only
by chair/cuff.py, with all of its limits. Other text on the line (a trace, say) is no JSON object: a bench passes over
it.
"""

import asyncio
import binascii
import gc
import json
import os
import select
import sys
import time

from chair import config, health, pins, store
from chair.settings import ConfigFault
from micropython import const

LINE_MAX = const(256)  # the ESP32 keeps 260 bytes of what comes while nobody looks
FILE_MAX = const(4096)
_TURN_MS = const(40)
_SECRETS = ("wifi_password", "mqtt_password")
_VALUES = ("config", "calibration")
_FILES = ("config", "calibration", "ca.der", "client.der", "client.key.der")
_NOT_IN_SESSION = ("put", "write", "reset", "self_test", "stream", "identify", "measure", "hold", "release")


class Refused(Exception):
    """What was asked is not done; the text says why."""


class Console:
    """`identity()` tells who the board is; the other parts are the chair's, where its program runs."""

    def __init__(self, board, identity, finger=None, arm=None, annunciator=None, clock=None):
        self.board = board
        self.finger = finger
        self.arm = arm
        self.annunciator = annunciator
        self.up_ms = (clock or health.UpClock()).up_ms
        self.listener = None  # is given each record that goes to the gateway: kind, body
        self._who = identity
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._line = bytearray()
        self._next = None  # the request that ended the one before
        self._file = bytearray()
        self._id = None
        self._takes = False  # the request is one that a session ends

    async def run(self):
        """For ever."""
        while True:
            line = self._next or self._read()
            self._next = None
            if line is None:
                await asyncio.sleep_ms(_TURN_MS)
            else:
                await self._answer(line)

    def say(self, fields):
        """One line of the request that is being answered."""
        fields["id"] = self._id
        print(json.dumps(fields))

    async def turn(self):
        """Let the board work on; False when the bench wants something else or a session forbids what it does."""
        await asyncio.sleep_ms(_TURN_MS)
        self._next = self._next or self._read()
        return self._next is None and not (self._takes and self._session())

    def _read(self):
        """The next whole line, or None. A line of noise does not keep the chair from its work."""
        for _ in range(LINE_MAX):
            if not self._poll.poll(0):
                break
            byte = sys.stdin.buffer.read(1)
            if not byte:
                break  # nobody is at the other end
            if byte in b"\r\n":
                line = self._line
                self._line = bytearray()
                if line:
                    return line
            elif len(self._line) <= LINE_MAX:
                self._line.extend(byte)
        return None

    async def _answer(self, line):
        self._id = None
        try:
            self.say(dict(await self._do(line) or {}, ok=True))
        except (Refused, ConfigFault) as fault:
            self.say({"ok": False, "error": str(fault)})
        except Exception as error:  # noqa: BLE001  (no request of a bench may take the chair down)
            self.say({"ok": False, "error": repr(error)})

    async def _do(self, line):
        if len(line) > LINE_MAX:
            raise Refused("a line of over %d bytes" % LINE_MAX)
        try:
            request = json.loads(line)
        except ValueError:
            raise Refused("not JSON")
        if type(request) is not dict:
            raise Refused("not a JSON object")
        self._id = request.get("id")
        todo = request.get("do")
        self._takes = todo in _NOT_IN_SESSION
        if self._takes and self._session():
            raise Refused("a session runs")
        if todo in ("identity", "get", "put", "write", "reset"):
            return getattr(self, "_" + todo)(request)
        from chair import bench

        if todo not in bench.REQUESTS:
            raise Refused("do: found %s, which is no request" % json.dumps(todo)[:40])
        return await bench.REQUESTS[todo](self, request)

    def _session(self):
        return bool(self.annunciator and self.annunciator.session)

    # ---- who the board is, and what it keeps

    def _identity(self, request):
        answer = {
            "board": pins.BOARD,
            "unique_id": binascii.hexlify(self.board.unique_id()).decode(),
            "reset_cause": self.board.reset_cause(),
            "up_ms": self.up_ms(),
            "heap_free_bytes": gc.mem_free(),
        }
        answer.update(self._who())
        return answer

    def _get(self, request):
        if self._name(request, _VALUES) == "calibration":
            return {"values": config.load_calibration(config.load_config().device)[0]}
        values = config.load_values()
        for key in _SECRETS:
            if values.get(key):
                values[key] = "***"
        return {"values": values}

    def _put(self, request):
        """The next piece of a file, in base64. Nothing changes before `write`."""
        at = request.get("at")
        if at == 0:
            self._file = bytearray()
        if at != len(self._file):
            raise Refused("at: found %s, must be 0 or %d" % (json.dumps(at)[:40], len(self._file)))
        try:
            data = binascii.a2b_base64(request.get("data"))
        except (ValueError, TypeError):
            raise Refused("data: must be base64")
        if len(self._file) + len(data) > FILE_MAX:
            raise Refused("a file of over %d bytes" % FILE_MAX)
        self._file.extend(data)

    def _write(self, request):
        """Keep what was put, if a start can use it; else what was there stays. `merge` keeps a config's other keys."""
        name = self._name(request, _FILES)
        data = bytes(self._file)
        self._file = bytearray()
        if name not in _VALUES:
            with open(name + ".tmp", "wb") as file:
                file.write(data)
            os.rename(name + ".tmp", name)
            return
        try:
            values = json.loads(data)
        except ValueError:
            raise Refused(name + ": not JSON")
        if name == "config":
            if request.get("merge") and type(values) is dict:
                values = dict(config.load_values(), **values)
            config.checked(values)
        else:
            fault = config.calibration_fault(values, config.load_config().device)
            if fault:
                raise Refused(fault)
        store.save(name, values)

    def _name(self, request, allowed):
        name = request.get("file")
        if name not in allowed:
            raise Refused("file: found %s, must be one of %s" % (json.dumps(name)[:40], ", ".join(allowed)))
        return name

    def _reset(self, request):
        if self.arm and not self.arm.empty:
            raise Refused("the cuff is not empty")
        self.say({"ok": True})
        time.sleep_ms(100)  # so that the answer is out
        import board

        board.reset()


def provision(board, fault):
    """What a board without a usable configuration does, for ever: it says why, and takes one."""
    asyncio.run(Console(board, lambda: {"fault": str(fault)}).run())
