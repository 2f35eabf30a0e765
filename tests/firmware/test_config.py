"""Provisioning files: a clear sentence for a config that cannot be used, a named fault for a calibration."""

import json
from pathlib import Path
from typing import Any

import pytest
from unix_port import run

GOOD: dict[str, Any] = {
    "v": 1,
    "device": "cb-7f3a21",
    "wifi_ssid": "ward",
    "wifi_password": "a secret of the ward",
    "mqtt_host": "192.0.2.7",
    "mqtt_port": 1883,
    "same_limb": True,
}
CALIBRATION: dict[str, Any] = {
    "v": 1,
    "device": "cb-7f3a21",
    "spo2": [1.6, -34.7, 112.7],
    "spo2_ratio_range": [0.4, 1.2],
    "led_order": "red_ir",
    "cuff_ratios": [0.5, 0.75],
    "pressure": {"zero_v": 0.12, "mmhg_per_v": 138.9},
    "made_on": "2026-03-01",
}

LOAD = """
from chair import config
try:
    c = config.load_config()
    result = [c.device, c.mqtt_host, c.mqtt_port, c.same_limb]
except config.ConfigFault as fault:
    result = str(fault)
"""
CALIBRATE = """
from chair import config
calibration, fault = config.load_calibration("cb-7f3a21")
result = [config.calibration_status(calibration), fault]
"""


def test_a_good_config_is_taken(tmp_path: Path) -> None:
    """A board knows who it is and where it connects."""
    (tmp_path / "config.json").write_text(json.dumps(GOOD))
    assert run(LOAD, tmp_path) == ["cb-7f3a21", "192.0.2.7", 1883, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2}, "v: found 2, must be 1"),
        ({"device": "Bay 3"}, "device: found 'Bay 3'"),
        ({"device": None}, "device: found None"),
        ({"wifi_ssid": 7}, "wifi_ssid: must be text"),
        ({"wifi_password": None}, "wifi_password: must be text"),
        ({"mqtt_host": ""}, "mqtt_host: must not be empty"),
        ({"mqtt_port": "1883"}, "mqtt_port: found '1883', must be 1 to 65535"),
        ({"mqtt_port": True}, "mqtt_port: found True"),
        ({"same_limb": 1}, "same_limb: must be true or false"),
    ],
)
def test_a_wrong_config_names_its_key(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    """The sentence names the file, the key, what was found and what is allowed; never the password."""
    (tmp_path / "config.json").write_text(json.dumps(GOOD | change))
    sentence = run(LOAD, tmp_path)
    assert sentence.startswith("config.json: ")
    assert words in sentence
    assert GOOD["wifi_password"] not in sentence


@pytest.mark.parametrize(("text", "words"), [(None, "not found"), ("{", "not JSON"), ("[]", "an object")])
def test_an_unreadable_config_is_a_sentence(tmp_path: Path, text: str | None, words: str) -> None:
    """A missing or torn file is told, not crashed on."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert words in run(LOAD, tmp_path)


def test_a_calibrated_board_says_so_with_its_date(tmp_path: Path) -> None:
    """Oximeter and pressure are both calibrated: the status names the day."""
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION))
    assert run(CALIBRATE, tmp_path) == [{"state": "calibrated", "made_on": "2026-03-01"}, ""]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, ""),
        ("{", "calibration_unreadable"),
        (json.dumps(CALIBRATION | {"v": 2}), "calibration_invalid"),
        (json.dumps(CALIBRATION | {"spo2": [1, 2]}), "calibration_invalid"),
        (json.dumps(CALIBRATION | {"pressure": {"zero_v": 0.1}}), "calibration_invalid"),
        (json.dumps(CALIBRATION | {"pressure": {"zero_v": 0.1, "mmhg_per_v": 0}}), "calibration_invalid"),
        (json.dumps(CALIBRATION | {"device": "cb-000002"}), "calibration_foreign"),
        (json.dumps({k: CALIBRATION[k] for k in ("v", "device", "spo2")}), ""),
    ],
)
def test_without_a_calibration_of_its_own_a_board_is_uncalibrated(tmp_path: Path, text: str | None, fault: str) -> None:
    """Missing, torn, half or another board's: uncalibrated, with the reason where there is one."""
    if text is not None:
        (tmp_path / "calibration.json").write_text(text)
    assert run(CALIBRATE, tmp_path) == [{"state": "uncalibrated"}, fault]
