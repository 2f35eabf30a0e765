"""What provisioning left in flash: `config.json` (who the board is, where it connects) and `calibration.json`.

    config.json       {"v": 1, "device": "cb-7f3a21", "wifi_ssid": ..., "wifi_password": ..., "mqtt_host": ...,
                       "mqtt_port": 1883, "same_limb": false}
    calibration.json  {"v": 1, "device": ..., "spo2": [a, b, c], "spo2_ratio_range": [low, high],
                       "led_order": "red_ir", "cuff_ratios": [systolic, diastolic],
                       "pressure": {"zero_v": ..., "mmhg_per_v": ...}, "made_on": "2026-03-01"}

A board without a usable config cannot work: `ConfigFault`. One without a usable calibration works, says so in its
status, and names what was wrong.
"""

import json

CONFIG_FILE = "config.json"
CALIBRATION_FILE = "calibration.json"
_DEVICE_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


class ConfigFault(Exception):
    """`config.json` cannot be used; the text names the file, the key, what was found and what is allowed."""


class Config:
    def __init__(self, values):
        self.device = values["device"]
        self.wifi_ssid = values["wifi_ssid"]
        self.wifi_password = values["wifi_password"]
        self.mqtt_host = values["mqtt_host"]
        self.mqtt_port = values["mqtt_port"]
        self.same_limb = values.get("same_limb", False)


def load_config():
    """The board's Config, or ConfigFault."""
    try:
        with open(CONFIG_FILE) as file:
            values = json.load(file)
    except OSError:
        raise ConfigFault("%s: not found; provision the board" % CONFIG_FILE)
    except ValueError:
        raise ConfigFault("%s: not JSON" % CONFIG_FILE)
    if type(values) is not dict:
        raise ConfigFault("%s: must be an object" % CONFIG_FILE)
    if values.get("v") != 1:
        raise ConfigFault("%s: v: found %r, must be 1" % (CONFIG_FILE, values.get("v")))
    device = values.get("device")
    if type(device) is not str or not 1 <= len(device) <= 32 or not all(c in _DEVICE_LETTERS for c in device):
        raise ConfigFault("%s: device: found %r, must be 1 to 32 of a-z 0-9 -" % (CONFIG_FILE, device))
    for key, length_max in (("wifi_ssid", 32), ("wifi_password", 64), ("mqtt_host", 255)):
        text = values.get(key)
        # The found text is not repeated: it may be a password.
        if type(text) is not str or len(text) > length_max:
            raise ConfigFault("%s: %s: must be text of at most %d" % (CONFIG_FILE, key, length_max))
    if not values["mqtt_host"]:
        raise ConfigFault("%s: mqtt_host: must not be empty" % CONFIG_FILE)
    port = values.get("mqtt_port")
    if type(port) is not int or not 1 <= port <= 65535:
        raise ConfigFault("%s: mqtt_port: found %r, must be 1 to 65535" % (CONFIG_FILE, port))
    if type(values.get("same_limb", False)) is not bool:
        raise ConfigFault("%s: same_limb: must be true or false" % CONFIG_FILE)
    return Config(values)


def load_calibration(device):
    """(calibration, fault): the dict for this board and "", or {} and why there is none ("" if there is no file)."""
    try:
        with open(CALIBRATION_FILE) as file:
            values = json.load(file)
    except OSError:
        return {}, ""
    except ValueError:
        return {}, "calibration_unreadable"
    if type(values) is not dict or values.get("v") != 1 or not _usable(values):
        return {}, "calibration_invalid"
    if values.get("device") != device:
        # Of another board: its LEDs and its pressure sensor are not ours.
        return {}, "calibration_foreign"
    return values, ""


def calibration_status(calibration):
    """The `calibration` field of the status: calibrated only when oximeter and pressure both are."""
    if "spo2" in calibration and "pressure" in calibration:
        return {"state": "calibrated", "made_on": calibration.get("made_on", "")}
    return {"state": "uncalibrated"}


def _usable(values):
    pressure = values.get("pressure", {"zero_v": 0, "mmhg_per_v": 1})
    return (
        _numbers(values.get("spo2", [0, 0, 0]), 3)
        and _numbers(values.get("spo2_ratio_range", [0, 1]), 2)
        and _numbers(values.get("cuff_ratios", [0.5, 0.5]), 2)
        and values.get("led_order", "red_ir") in ("red_ir", "ir_red")
        and type(pressure) is dict
        and _numbers([pressure.get("zero_v"), pressure.get("mmhg_per_v")], 2)
        and pressure["mmhg_per_v"] > 0
        and type(values.get("made_on", "")) is str
        and len(values.get("made_on", "")) <= 64
    )


def _numbers(values, count):
    return type(values) is list and len(values) == count and all(type(x) in (int, float) for x in values)
