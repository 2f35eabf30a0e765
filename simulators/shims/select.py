"""`select` of the simulated board: polls real or simulated sockets, and runs timers while it waits."""

import link
import uselect

POLLIN = uselect.POLLIN
POLLOUT = uselect.POLLOUT
POLLERR = uselect.POLLERR
POLLHUP = uselect.POLLHUP

# What a turn of the event loop costs at least on the board; it also lets the conductor deliver.
_TURN_US = 100
_IOCTL_POLL = 3


class poll:
    def __init__(self):
        self._asked = {}
        self._real = uselect.poll() if link.live else None

    def register(self, item, mask=POLLIN | POLLOUT):
        self._asked[id(_inner(item))] = [item, mask]
        if self._real:
            self._real.register(_inner(item), mask)

    def modify(self, item, mask):
        self._asked[id(_inner(item))][1] = mask
        if self._real:
            self._real.modify(_inner(item), mask)

    def unregister(self, item):
        self._asked.pop(id(_inner(item)), None)
        if self._real:
            self._real.unregister(_inner(item))

    def poll(self, timeout=-1):
        now_us = link.now_us()
        until_us = now_us + timeout * 1000 if timeout >= 0 else 1 << 60
        return self._poll_live(until_us) if link.live else self._poll_virtual(until_us)

    def ipoll(self, timeout=-1, flags=0):
        return self.poll(timeout)

    def _poll_live(self, until_us):
        while True:
            link.run_timers()
            timer_us = link.next_timer_us()
            left_us = (until_us if timer_us is None else min(until_us, timer_us)) - link.now_us()
            ready = self._real.poll(max(0, min(-(-left_us // 1000), 3_600_000)))
            if ready:
                return [(self._asked[id(item)][0], event) for item, event in ready]
            if link.now_us() >= until_us:
                link.run_timers()
                return []

    def _poll_virtual(self, until_us):
        until_us = max(until_us, link.now_us() + _TURN_US)
        while True:
            ready = []
            for item, mask in self._asked.values():
                event = _events(item, mask)
                if event:
                    ready.append((item, event))
            if ready or link.now_us() >= until_us:
                return ready
            link.wait(until_us)


def _events(item, mask):
    if hasattr(item, "poll_events"):
        return item.poll_events(mask)
    if hasattr(item, "ioctl"):  # asyncio.ThreadSafeFlag
        return item.ioctl(_IOCTL_POLL, mask)
    return 0  # other streams (the console) have nothing to say in virtual time


def _inner(item):
    return getattr(item, "inner", item)
