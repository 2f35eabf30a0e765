"""What the board runs after power-on.

Whatever goes wrong in here ends with the pump off and the valves open: a programming error is written to flash, the
board restarts, and the next start publishes it. Only a missing or wrong configuration leaves the board at the
console, where it can be provisioned.

This file, board.py, slots.py, chair/pins.py and chair/store.py are the base that no update replaces. The watchdog
runs before the first file of an update is loaded: one that hangs there is undone like one that crashes.
"""

# isort: off
import board  # first: importing it makes the cuff safe
import gc
import io
import sys
import time

import slots
# isort: on

_LOAD_MS = 30000  # a board whose flash holds text compiles it for some seconds
_CONSOLE_MS = 3600000  # somebody works at the console
# While the program is loaded: what that leaves behind is collected before the next file settles among it.
_LOAD_BYTES = 8192


def main():
    hardware = None
    try:
        gc.threshold(_LOAD_BYTES)
        hardware = board.Board()
        slots.begin(hardware.reset_cause())
        hardware.start_watchdog(_LOAD_MS)
        slots.enter()
        from chair import outbox

        block = outbox.reserve()  # first, while the heap is in one piece
        from chair.settings import ConfigFault

        try:
            if slots.life.safe_mode or slots.life.updating:
                from chair import service

                gc.threshold(-1)
                service.run(hardware, block)
            else:
                from chair import app

                gc.threshold(-1)
                app.run(hardware, block)
        except ConfigFault as fault:
            if slots.life.trial:
                raise  # what was there before could use it
            board.make_safe()
            hardware.start_watchdog(_CONSOLE_MS)
            print("chairside:", fault)
            from chair import console

            console.provision(hardware, fault)
    except KeyboardInterrupt:
        board.make_safe()
        if hardware:
            hardware.start_watchdog(_CONSOLE_MS)
        raise
    except SystemExit:
        board.make_safe()
        if slots.life and slots.life.trial:
            board.reset()
        raise
    except BaseException as error:  # noqa: BLE001  (the last resort of the board)
        board.make_safe()
        try:
            if hardware:
                hardware.start_watchdog(_LOAD_MS)  # it may have been shorter
            _note(error)
            time.sleep(2)  # so that a board that fails at once is not worn out by it
        finally:  # not even a full heap keeps the board from restarting
            board.reset()


def _note(error):
    """Leave the reason in flash for the next start, see health.crash."""
    try:
        trace = io.StringIO()
        sys.print_exception(error, trace)
        lines = trace.getvalue().strip().split("\n")
        print("\n".join(lines))
        with open("crash.txt", "w") as file:
            file.write((lines[-1] + " @ " + lines[-2].strip() if len(lines) > 1 else lines[-1])[:200])
    except OSError:
        pass  # a full or broken flash must not keep the board from restarting


if __name__ == "__main__":
    main()
