"""What the board runs after power-on.

Whatever goes wrong in here ends with the pump off and the valves open: a programming error is written to flash, the
board restarts, and the next start publishes it. Only a missing or wrong configuration leaves the board at the
console, where it can be provisioned.
"""

# isort: off
import board  # first: importing it makes the cuff safe
import io
import sys
import time
# isort: on


def main():
    try:
        from chair import outbox

        block = outbox.reserve()  # first, while the heap is in one piece
        from chair import app, config

        try:
            app.run(board.Board(), block)
        except config.ConfigFault as fault:
            board.make_safe()
            print("chairside:", fault)
            return
    except (KeyboardInterrupt, SystemExit):
        board.make_safe()
        raise
    except BaseException as error:  # noqa: BLE001  (the last resort of the board)
        board.make_safe()
        try:
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
