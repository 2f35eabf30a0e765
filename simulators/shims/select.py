"""`select` of the simulated board: polls real or simulated sockets, and runs timers while it waits."""

import link
import uselect

from micropython import const

POLLIN = uselect.POLLIN
POLLOUT = uselect.POLLOUT
POLLERR = uselect.POLLERR
POLLHUP = uselect.POLLHUP

# What a turn of the event loop costs at least on the board; it also lets the conductor deliver.
_TURN_US = const(100)
_IOCTL_POLL = const(3)


class poll:
    def __init__(self):
        # [item, mask, how it is asked] in the order they came: an order by address would differ from run to run.
        self._asked = []
        self._real = uselect.poll() if link.live else None

    def register(self, item, mask=POLLIN | POLLOUT):
        self._forget(item)
        self._asked.append([item, mask, None if self._real else _question(item)])
        if self._real:
            self._real.register(_inner(item), mask)

    def modify(self, item, mask):
        for asked in self._asked:
            if asked[0] is item:
                asked[1] = mask
        if self._real:
            self._real.modify(_inner(item), mask)

    def unregister(self, item):
        self._forget(item)
        if self._real:
            self._real.unregister(_inner(item))

    def _forget(self, item):
        self._asked = [asked for asked in self._asked if asked[0] is not item]

    def _of(self, inner):
        for item, _, _ in self._asked:
            if _inner(item) is inner:
                return item

    def poll(self, timeout=-1):
        if link.live:
            return self._poll_live(link.now_us() + timeout * 1000 if timeout >= 0 else 1 << 60)
        until_us = link.now() + (timeout * 1000 if timeout > 0 else _TURN_US if timeout == 0 else 1 << 60)
        while True:
            # No list is made for nothing: it would be most of what waiting costs here.
            ready = None
            for item, mask, ask in self._asked:
                event = ask(mask)
                if event:
                    ready = ready or []
                    ready.append((item, event))
            if ready or link.now() >= until_us:
                return ready or ()
            link.wait(until_us)

    def ipoll(self, timeout=-1, flags=0):
        return self.poll(timeout)

    def _poll_live(self, until_us):
        while True:
            link.run_timers()
            left_us = min(until_us, link.next_timer_us()) - link.now_us()
            ready = self._real.poll(max(0, min(-(-left_us // 1000), 3_600_000)))
            if ready:
                return [(self._of(inner), event) for inner, event in ready]
            if link.now_us() >= until_us:
                link.run_timers()
                return []


def _question(item):
    """A function from a mask to the events of an item."""
    if hasattr(item, "poll_events"):
        return item.poll_events
    if hasattr(item, "ioctl"):  # asyncio.ThreadSafeFlag
        return lambda mask: item.ioctl(_IOCTL_POLL, mask)
    # The console is a real stream also in virtual time. Nobody writes to it where a run must repeat.
    real = uselect.poll()
    real.register(item, POLLIN)
    return lambda mask: sum(event for _, event in real.poll(0)) & mask


def _inner(item):
    return getattr(item, "inner", item)
