"""What provisioning leaves in the flash of a simulated board."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def write_flash(
    flash_dir: Path,
    device: str,
    broker: tuple[str, int],
    settings: Mapping[str, object],
    calibration: Mapping[str, object] | None,
) -> None:
    """`settings` are the optional keys of `config.json`; without a calibration one that is there stays."""
    flash_dir.mkdir(parents=True, exist_ok=True)
    config = {
        "v": 1,
        "device": device,
        "wifi_ssid": "simulated",
        "wifi_password": "simulated",
        "mqtt_host": broker[0],
        "mqtt_port": broker[1],
        **settings,
    }
    (flash_dir / "config.json").write_text(json.dumps(config))
    if calibration is not None:
        (flash_dir / "calibration.json").write_text(json.dumps(calibration))
