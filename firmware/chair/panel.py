"""The chair's panel: shows what the annunciator says on lamp and sounder, and hears the two buttons."""

import asyncio

_TURN_MS = 25
_PRESS_MS = 1000  # once a second is a call; more would only push readings out of the outbox


class Panel:
    """`pressed(name)` is called with "acknowledge" or "call"."""

    def __init__(self, board, annunciator, clock, pressed):
        self._board = board
        self._annunciator = annunciator
        self._clock = clock
        self._pressed = pressed

    async def run(self):
        shown = None
        pressed_ms = {}
        held = (False, False)
        while True:
            now_ms = self._clock.up_ms()
            down = self._board.buttons()
            for name, is_down, was_down in zip(("acknowledge", "call"), down, held):
                if is_down and not was_down and now_ms - pressed_ms.get(name, -_PRESS_MS) >= _PRESS_MS:
                    pressed_ms[name] = now_ms
                    if name == "acknowledge":
                        self._annunciator.acknowledge(now_ms)
                    self._pressed(name)
            held = down
            signal = self._annunciator.tick(now_ms)
            if signal != shown:
                shown = signal
                self._board.lamps(signal[0], signal[1], signal[2])
                self._board.tone(signal[3])
            await asyncio.sleep_ms(_TURN_MS)
