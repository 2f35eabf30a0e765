"""The pipe to the conductor, the board's clock and its timers. Runs on MicroPython.

Frames both ways: one byte of kind, two of length, eight of time in microseconds, then the payload. A frame
whose kind is an upper-case letter is answered, the others are not. In virtual mode the conductor owns time:
`wait` asks it how far the clock may go. In live mode the clock is CLOCK_MONOTONIC, like the conductor's.
"""

import os
import struct
import sys

import utime

_HEAD = "<BHq"
_HEAD_BYTES = 11

_fds = os.getenv("CHAIRSIDE_LINK").split(",")
_rx = open(int(_fds[0]), "rb")
_tx = open(int(_fds[1]), "wb")

_now_us = 0
timers = []
sockets = {}
_in_callback = False


def send(kind, payload=b""):
    try:
        _tx.write(struct.pack(_HEAD, kind[0], len(payload), now_us()) + payload)
    except OSError:
        raise SystemExit("the conductor is gone")


def ask(kind, payload=b""):
    """Send a frame, return (status, payload) of its answer; takes over the time in virtual mode."""
    global _now_us
    send(kind, payload)
    head = _rx.read(_HEAD_BYTES)
    if not head or len(head) < _HEAD_BYTES:
        raise SystemExit("the conductor is gone")
    status, length, at_us = struct.unpack(_HEAD, head)
    if not live and at_us > _now_us:
        _now_us = at_us
    return bytes([status]), _rx.read(length) if length else b""


def halt(why):
    """The processor resets: tell the conductor, which ends this process."""
    send(b"x", why)
    _rx.read(1)
    raise SystemExit(why)


def now_us():
    return utime.ticks_us() if live else _now_us


def charge(us):
    """Virtual time that something costs on the board."""
    global _now_us
    _now_us += us


def wait(until_us):
    """Pass time up to `until_us` or the next timer, whichever is first; ends early when something arrives."""
    timer_us = next_timer_us()
    if timer_us is not None:
        until_us = min(until_us, timer_us)
    if live:
        left_us = until_us - utime.ticks_us()
        if left_us > 0:
            utime.sleep_us(left_us)
    else:
        _deliver(ask(b"W", struct.pack("<q", max(until_us, _now_us)))[1])
    run_timers()


def _deliver(events):
    """Hand socket events to their sockets: id, kind, length, data, repeated."""
    i = 0
    while i < len(events):
        number, kind, length = struct.unpack_from("<BBH", events, i)
        i += 4
        if number in sockets:
            sockets[number].arrive(bytes([kind]), events[i : i + length])
        i += length


def next_timer_us():
    """When the next timer is due, or None; None also inside a callback, which no other may interrupt."""
    return min(timer.due_us for timer in timers) if timers and not _in_callback else None


def run_timers():
    """Run callbacks that are due, one after the other and never inside one another."""
    global _in_callback
    if _in_callback or not timers:
        return
    for timer in list(timers):
        if timer.due_us <= now_us():
            timer.step(now_us())
            _in_callback = True
            try:
                timer.callback(timer)
            except Exception as error:  # noqa: BLE001
                # As on the board: the trace is printed and the program goes on.
                sys.print_exception(error)
                send(b"e", repr(error).encode())
            finally:
                _in_callback = False


live = False
_hello = ask(b"H")[1]
live, reset_cause, boot_us, ticks_start_us = struct.unpack_from("<BBqq", _hello)
live = bool(live)
unique_id = _hello[18:24]
