"""The pipe to the conductor, the board's clock and its timers. Runs on MicroPython.

Frames both ways: one byte of kind, two of length, eight of time in microseconds, then the payload; an answer carries
a second time, the horizon. A frame whose kind is an upper-case letter is answered, the others are not.

In virtual mode the conductor owns time: `wait` asks it how far the clock may go. Up to the horizon of the last answer
nothing can arrive that the board does not cause itself, so the clock goes there without asking; and a frame that
nobody answers travels with the next that is. In live mode the clock is CLOCK_MONOTONIC, like the conductor's.
"""

import gc
import struct
import sys

import uos
import utime

from micropython import const

gc.collect()
before_bytes = gc.mem_alloc()  # of the program's heap, when the simulator began to load into it

_HEAD = const("<BHq")
_ANSWER = const("<BHqq")
_ANSWER_BYTES = const(19)
_NEVER_US = const(1 << 60)

_fds = uos.getenv("CHAIRSIDE_LINK").split(",")
_rx = open(int(_fds[0]), "rb")
_tx = open(int(_fds[1]), "wb")

_now_us = 0
_horizon_us = 0
_timer_us = _NEVER_US  # when the next timer is due; never inside a callback, which no other may interrupt
_waiting = bytearray(1024)  # frames that nobody answers; kept, for the program's heap may be in pieces
_waiting_bytes = 0
timers = []
sockets = {}
inputs = {}  # levels of the input lines that were read once; the conductor tells when one changes
_in_callback = False


def send(kind, payload=b""):
    global _horizon_us
    frame = struct.pack(_HEAD, kind[0], len(payload), now_us()) + payload
    if live:
        _write(frame)
        return
    _hold(frame)
    if kind in b"osc":
        _horizon_us = 0  # the peer may answer


def _hold(frame):
    global _waiting_bytes
    size = len(frame)
    if _waiting_bytes + size > len(_waiting):
        flush()
    if size > len(_waiting):
        _write(frame)
        return
    _waiting[_waiting_bytes : _waiting_bytes + size] = frame
    _waiting_bytes += size


def ask(kind, payload=b"", expected=0):
    """Send a frame, return (status, payload) of its answer; takes over the time in virtual mode. `expected`: bytes of
    the answer where they are known, which saves a read."""
    global _now_us, _horizon_us
    frame = struct.pack(_HEAD, kind[0], len(payload), now_us()) + payload
    _hold(frame)
    flush()
    answer = _rx.read(_ANSWER_BYTES + expected)
    if not answer or len(answer) < _ANSWER_BYTES:
        raise SystemExit("the conductor is gone")
    status, length, at_us, horizon_us = struct.unpack_from(_ANSWER, answer)
    if not live:
        _now_us = max(_now_us, at_us)
        _horizon_us = horizon_us
    if length > expected:
        return status, answer[_ANSWER_BYTES:] + _rx.read(length - expected)
    return status, answer[_ANSWER_BYTES:]


def _write(frame):
    try:
        _tx.write(frame)
    except OSError:
        raise SystemExit("the conductor is gone")


def flush():
    """Send what still waits."""
    global _waiting_bytes
    if _waiting_bytes:
        _write(memoryview(_waiting)[:_waiting_bytes])
        _waiting_bytes = 0


def halt(why):
    """The processor resets: tell the conductor, which ends this process."""
    send(b"x", why)
    flush()
    _rx.read(1)
    raise SystemExit(why)


def now_us():
    return utime.ticks_us() if live else _now_us


def now():
    """Virtual microseconds."""
    return _now_us


def charge(us):
    """Virtual time that something costs on the board."""
    global _now_us
    _now_us += us


def look():
    """Virtual microseconds since boot. A look at the clock costs one, so that a loop that polls it ends."""
    global _now_us
    _now_us += 1
    if _now_us >= _timer_us:
        run_timers()
    return _now_us - boot_us


def wait(until_us):
    """Pass time up to `until_us` or the next timer, whichever is first; ends early when something arrives."""
    global _now_us
    until_us = min(until_us, _timer_us)
    if until_us <= _horizon_us and not live:
        _now_us = max(_now_us, until_us)
    elif live:
        left_us = until_us - utime.ticks_us()
        if left_us > 0:
            utime.sleep_us(left_us)
    else:
        events = ask(b"W", struct.pack("<q", max(until_us, _now_us)))[1]
        if events:
            _deliver(events)
    if live or _now_us >= _timer_us:
        run_timers()


def _deliver(events):
    """Socket events to their sockets: id, kind, length, data, repeated. Number 0 is an input line that changed."""
    i = 0
    while i < len(events):
        number, kind, length = struct.unpack_from("<BBH", events, i)
        i += 4
        if number == 0:
            inputs[events[i]] = events[i + 1]
        elif number in sockets:
            sockets[number].arrive(bytes([kind]), events[i : i + length])
        i += length


def read_input(gpio):
    """The level of an input line."""
    if live:
        return ask(b"R", bytes([gpio]), 1)[1][0]
    if gpio not in inputs:
        inputs[gpio] = ask(b"R", bytes([gpio]), 1)[1][0]
    return inputs[gpio]


def set_timer(timer):
    timers.append(timer)
    _schedule()


def clear_timer(timer):
    if timer in timers:
        timers.remove(timer)
        _schedule()


def _schedule():
    global _timer_us
    _timer_us = _NEVER_US
    if not _in_callback:
        for timer in timers:
            _timer_us = min(_timer_us, timer.due_us)


def next_timer_us():
    return _timer_us


def run_timers():
    """Run callbacks that are due, one after the other and never inside one another."""
    global _in_callback, _timer_us
    if _in_callback or not timers:
        return
    for timer in tuple(timers) if len(timers) > 1 else timers:
        if timer.due_us <= now_us():
            timer.step(now_us())
            _in_callback = True
            _timer_us = _NEVER_US
            try:
                timer.callback(timer)
            except Exception as error:  # noqa: BLE001
                # As on the board: the trace is printed and the program goes on.
                sys.print_exception(error)
                send(b"e", repr(error).encode())
            finally:
                _in_callback = False
    _schedule()


live = False
_hello = ask(b"H")[1]
live, reset_cause, boot_us, ticks_start_us, ticks_ppm = struct.unpack_from("<BBqqi", _hello)
live = bool(live)
unique_id = _hello[22:28]
chance = _hello[28:36]
sys.atexit(flush)
