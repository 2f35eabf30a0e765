"""Runs the gateway and ends it hard when its loop stands still: what systemd does with WatchdogSec, Docker does not.

    python -m gateway.container.watched chairside gateway --config /etc/chairside/gateway.toml

Docker then starts the container again. The protocol is systemd's own, see `gateway.systemd_notify`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

START_S_MAX = 90.0
SILENCE_S_MAX = 10.0


def run(command: list[str], start_s_max: float = START_S_MAX, silence_s_max: float = SILENCE_S_MAX) -> int:
    """The exit code of the command; it does not outlive its loop."""
    # In no folder: the container's are read only.
    name = f"chairside-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(0.5)
        child = subprocess.Popen(command, env=os.environ | {"NOTIFY_SOCKET": f"@{name}"})

        def pass_on(number: int, _frame: FrameType | None) -> None:
            child.send_signal(number)

        signal.signal(signal.SIGTERM, pass_on)
        signal.signal(signal.SIGINT, pass_on)
        deadline = time.monotonic() + start_s_max
        while child.poll() is None:
            try:
                heard.recv(256)
                deadline = time.monotonic() + silence_s_max
            except TimeoutError:
                if time.monotonic() > deadline:
                    print("the gateway's loop stands still: it is ended", file=sys.stderr, flush=True)
                    child.kill()
        return child.wait()


if __name__ == "__main__":
    code = run(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
