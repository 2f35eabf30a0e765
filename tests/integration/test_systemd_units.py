"""The service files as systemd reads them, and the gateway's word to its watchdog."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_process import Gateway
from servers import Mosquitto

UNITS = sorted((Path(__file__).parents[2] / "gateway" / "systemd").glob("*.service"))
EXPOSURE_MAX = 2.0
"""Of `systemd-analyze security`, where 10 is wide open and most services stand at 9."""


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_valid_and_shut_in(unit: Path, tmp_path: Path) -> None:
    """systemd finds nothing to complain of, and the service may do little beside its work."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is not installed. Run: sudo apt-get install systemd"
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace("/opt/chairside/.venv/bin/chairside", sys.executable))
    verify = ["systemd-analyze", "verify", "--man=no", str(here)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    security = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(here)]
    judged = subprocess.run(security, capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", judged)
    assert found, judged
    print(f"\n{unit.name}: exposure {found.group(1)}")
    assert float(found.group(1)) <= EXPOSURE_MAX


def test_the_gateway_tells_its_watchdog_while_its_loop_turns(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready once, alive again and again; a gateway whose loop stands still would be silent and started again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        gateway = Gateway(tmp_path, mosquitto.url, "clinic", {"bay-1": "cb-000001"})
        gateway.start()
        try:
            said = [systemd.recv(256).decode() for _ in range(3)]
        finally:
            gateway.stop()
    assert said == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
