"""The chair's panel: shows what the annunciator says on lamp and sounder, hears the two buttons, and looks at the seat
and the battery where they are fitted."""

import asyncio

from micropython import const

_TURN_MS = const(25)  # a contact bounces for less
_PRESS_MS = const(1000)  # once a second is a call; more would only push readings out of the outbox
_STUCK_MS = const(30000)


class Panel:
    """`pressed(name)` is called with "acknowledge" or "call". `faults` holds "button_stuck" while one is held for
    longer than any finger holds it: whoever looks at the chair must know that it calls nobody."""

    def __init__(self, board, config, annunciator, clock, pressed):
        self._board = board
        self._annunciator = annunciator
        self._clock = clock
        self._pressed = pressed
        self._buttons = (Button("acknowledge"), Button("call"))
        self._seat = self._battery = None
        if config.seat_sensor:
            from chair.seat import Seat

            self._seat = Seat()
        if config.battery:
            from chair.battery import Battery

            self._battery = Battery()
        self._stuck = False

    @property
    def seat(self):
        """occupied, empty or unknown."""
        return self._seat.state if self._seat else "unknown"

    @property
    def battery_pct(self):
        """Charge left, or None when it is not known."""
        return self._battery.pct if self._battery else None

    @property
    def faults(self):
        faults = {"button_stuck"} if self._stuck else set()
        return faults | self._battery.faults if self._battery else faults

    async def run(self):
        shown = None
        while True:
            now_ms = self._clock.up_ms()
            self._press(now_ms)
            if self._seat:
                self._seat.turn(self._board.seat_lines(), now_ms)
            if self._battery:
                self._battery.turn(self._board.battery_v, now_ms)
            signal = self._annunciator.tick(now_ms)
            if signal != shown:
                shown = signal
                self._board.lamps(signal[0], signal[1], signal[2])
                self._board.tone(signal[3])
            await asyncio.sleep_ms(_TURN_MS)

    def _press(self, now_ms):
        stuck = False
        for button, is_down in zip(self._buttons, self._board.buttons()):
            if button.turn(is_down, now_ms):
                if button.name == "acknowledge":
                    self._annunciator.acknowledge(now_ms)
                else:
                    self._annunciator.call(now_ms)
                self._pressed(button.name)
            stuck = stuck or button.held_ms(now_ms) >= _STUCK_MS
        self._stuck = stuck


class Button:
    """One contact: it is down, or up, when two looks in a row say so."""

    def __init__(self, name):
        self.name = name
        self._seen = False
        self._down = False
        self._down_ms = None  # of the last press that counted
        self._held_since_ms = 0

    def turn(self, is_down, now_ms):
        """True when a press begins."""
        settled = is_down == self._seen
        self._seen = is_down
        if not settled or is_down == self._down:
            return False
        self._down = is_down
        self._held_since_ms = now_ms
        if not is_down or (self._down_ms is not None and now_ms - self._down_ms < _PRESS_MS):
            return False
        self._down_ms = now_ms
        return True

    def held_ms(self, now_ms):
        return now_ms - self._held_since_ms if self._down else 0
