"""The firmware's cuff at the end of a pipe: its time and its air are in another process. Runs on MicroPython.

A line in is "milliseconds since the last line, pressure in mmHg"; a line out "pump dump_closed bleed", or, when the
measurement has ended, its result as JSON. The first line in is the calibration as JSON.
"""

import json
import sys
import time

from chair.cuff import Cuff


class Pipe:
    """Valves and sensor in one."""

    pumping = closed = bleeding = 0
    mmhg = 0.0

    def pump(self, on):
        self.pumping = int(on)

    def dump_valve(self, closed):
        self.closed = int(closed)

    def bleed_valve(self, open_fraction):
        self.bleeding = open_fraction

    def read_mmhg(self):
        return self.mmhg


def main():
    pipe = Pipe()
    now_ms = 0
    cuff = Cuff(pipe, pipe, json.loads(sys.stdin.readline()), ticks_ms=lambda: now_ms)
    cuff.start("command")
    polled_ms = 0
    while True:
        passed_ms, mmhg = sys.stdin.readline().split()
        now_ms = time.ticks_add(now_ms, int(passed_ms))
        pipe.mmhg = float(mmhg)
        cuff.tick(now_ms)
        if time.ticks_diff(now_ms, polled_ms) >= 100:
            polled_ms = now_ms
            result = cuff.take_result()
            if result:
                print(json.dumps(result))
                return
        print(pipe.pumping, pipe.closed, pipe.bleeding)


main()
