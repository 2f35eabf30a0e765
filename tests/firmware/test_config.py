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


def test_what_a_config_leaves_out_has_its_default(tmp_path: Path) -> None:
    """A field board without options: no TLS, no console, nothing fitted, 8 s of averaging, time from the broker."""
    keys = ["same_limb", "tls", "mqtt_user", "mqtt_password", "console", "seat_sensor", "battery", "average_s"]
    load = (
        f"from chair import config\nc = config.load_config()\nresult = [getattr(c, k) for k in {[*keys, 'time_host']}]"
    )
    plain = {key: value for key, value in GOOD.items() if key != "same_limb"}
    (tmp_path / "config.json").write_text(json.dumps(plain))
    assert run(load, tmp_path) == [False, False, "", "", False, False, False, 8, "192.0.2.7"]
    given = [True, True, "cb", "word", True, True, True, 16, "time.example.org"]
    (tmp_path / "config.json").write_text(json.dumps(plain | dict(zip([*keys, "time_host"], given, strict=True))))
    assert run(load, tmp_path) == given


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
        ({"same_limb": 1}, "same_limb: found 1, must be true or false"),
        ({"tls": "yes"}, "tls: found 'yes', must be true or false"),
        ({"mqtt_user": 7}, "mqtt_user: must be text of at most 64"),
        ({"mqtt_password": ["a secret of the ward"]}, "mqtt_password: must be text of at most 64"),
        ({"console": None}, "console: found None, must be true or false"),
        ({"seat_sensor": 0}, "seat_sensor: found 0, must be true or false"),
        ({"battery": "1"}, "battery: found '1', must be true or false"),
        ({"average_s": 5}, "average_s: found 5, must be one of 4, 8, 16"),
        ({"average_s": "8"}, "average_s: found '8', must be one of 4, 8, 16"),
        ({"average_s": 8.0}, "average_s: found 8.0, must be one of 4, 8, 16"),
        ({"time_host": 1}, "time_host: must be text of at most 255"),
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
    assert run(CALIBRATE, tmp_path) == [
        {"state": "calibrated", "led_order": "verified", "made_on": "2026-03-01"},
        "",
    ]


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
        ("{}", "calibration_invalid"),
    ],
)
def test_without_a_calibration_of_its_own_a_board_is_uncalibrated(tmp_path: Path, text: str | None, fault: str) -> None:
    """Missing, torn, half or another board's: uncalibrated, with the reason where there is one."""
    if text is not None:
        (tmp_path / "calibration.json").write_text(text)
    assert run(CALIBRATE, tmp_path) == [{"state": "uncalibrated", "led_order": "unverified"}, fault]


def test_what_a_hand_put_there_is_taken_into_the_store(tmp_path: Path) -> None:
    """The plain files are newer than the store: they are taken over and removed, and what they said stays."""
    for port in (1883, 8883):
        (tmp_path / "config.json").write_text(json.dumps(GOOD | {"mqtt_port": port}))
        (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION | {"made_on": str(port)}))
        for _ in range(2):
            assert run(LOAD, tmp_path)[2] == port
            assert run(CALIBRATE, tmp_path)[0]["made_on"] == str(port)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.a", "config.b", "calibration.a", "calibration.b"}


def test_a_wrong_file_of_a_hand_is_not_covered_up_by_the_store(tmp_path: Path) -> None:
    """What was meant to be replaced does not live on: no config, and uncalibrated, until the file is mended."""
    (tmp_path / "config.json").write_text(json.dumps(GOOD))
    (tmp_path / "calibration.json").write_text(json.dumps(CALIBRATION))
    run(LOAD, tmp_path)
    run(CALIBRATE, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(GOOD | {"mqtt_port": 0}))
    (tmp_path / "calibration.json").write_text("{")
    assert "mqtt_port: found 0" in run(LOAD, tmp_path)
    assert run(CALIBRATE, tmp_path)[1] == "calibration_unreadable"
    for name in ("config.json", "calibration.json"):
        (tmp_path / name).unlink()
    assert run(LOAD, tmp_path)[0] == "cb-7f3a21"
    assert run(CALIBRATE, tmp_path)[0]["state"] == "calibrated"
