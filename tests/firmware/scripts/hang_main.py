"""The firmware's own main.py with one thing added: a file `hang` in the flash stops one part of it for ever.

`hang_part` holds the number of the task, in the order in which the program makes them, or -1 for the supervisor's
timer. A board that its watchdog has reset is left alone.
"""

import asyncio

import machine
import uos

with open("hang_part") as file:
    _part = int(file.read())
_number = iter(range(100))
_make = asyncio.create_task


def _hang_if_told():
    try:
        uos.stat("hang")
    except OSError:
        return
    while True:
        pass


class _Hanging:
    """A coroutine that may stop at any of its turns."""

    def __init__(self, inner):
        self._inner = inner
        self.throw = inner.throw
        self.close = inner.close

    def send(self, value):
        _hang_if_told()
        return self._inner.send(value)


def _make_hanging(coroutine):
    return _make(_Hanging(coroutine) if next(_number) == _part else coroutine)


import main  # noqa: E402

if machine.reset_cause() != machine.WDT_RESET:
    asyncio.create_task = _make_hanging
    if _part < 0:
        every = main.board.Board.every

        def _every(board, period_ms, callback):
            def hanging():
                _hang_if_told()
                callback()

            every(board, period_ms, hanging)

        main.board.Board.every = _every
main.main()
