"""Runs a piece of MicroPython against the firmware's own files, on the real unix port."""

import json
import subprocess
from pathlib import Path
from typing import Any

from simulators.plan import ROOT
from simulators.process import find_micropython

FIRMWARE = ROOT / "firmware"


def run(script: str, folder: Path | None = None, **given: Any) -> Any:
    """What `script` leaves in `result`; it finds the keyword arguments as variables. `folder` plays the flash."""
    program = f"import json\nglobals().update(json.loads({json.dumps(given)!r}))\n{script}\nprint(json.dumps(result))\n"
    done = subprocess.run(
        [find_micropython(), "-c", program],
        cwd=folder,
        env={"MICROPYPATH": f"{FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
