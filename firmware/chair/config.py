"""What provisioning left in flash: `config` (who the board is, where it connects) and `calibration`.

    config       {"v": 1, "device": "cb-7f3a21", "wifi_ssid": ..., "wifi_password": ..., "mqtt_host": ...,
                  "mqtt_port": 1883} and the optional keys below
    calibration  {"v": 1, "device": ..., "spo2": [a, b, c], "spo2_ratio_range": [low, high],
                  "led_order": "red_ir", "cuff_ratios": [systolic, diastolic],
                  "pressure": {"zero_v": ..., "mmhg_per_v": ...}, "made_on": "2026-03-01"}

Both live in two checked copies (chair/store.py). A plain `config.json` or `calibration.json` that a hand put into the
flash is newer than those: it alone decides. If it can be used, it is taken into the store and removed; if not, the
store does not step in for it, because it holds what was meant to be replaced.

A board without a usable config cannot work: `ConfigFault`. One without a usable calibration works, says so in its
status, and names what was wrong.

Needed once in a start, and 8 KB of heap: who has read it lets it go again, by `forget`.
"""

import json
import sys

from chair import store
from chair.settings import ConfigFault, Settings
from micropython import const

_CONFIG_FILE = const("config.json")
_DEVICE_LETTERS = const("abcdefghijklmnopqrstuvwxyz0123456789-")

# Optional. True or false, false where the file has none:
_FLAGS = (
    "same_limb",  # cuff and finger probe are on one arm
    "tls",  # with the files ca.der, client.der and client.key.der
    "console",  # answers a bench on the USB serial line
    "seat_sensor",  # fitted
    "battery",  # fitted
)
# Text of at most so many characters, empty where the file has none. Without a time host the MQTT host is asked.
_TEXTS = const((("mqtt_user", 64), ("mqtt_password", 64), ("time_host", 255)))
_AVERAGE_S = const((8, 4, 16))  # of the oximeter, the first where the file has none


def load_config():
    """The board's Settings, or ConfigFault."""
    return checked(load_values())


def load_values():
    """The object that is the board's config, or ConfigFault."""
    values, by_hand = _found_in_flash("config")
    if values == {} and not by_hand:
        raise ConfigFault("%s: not found; provision the board" % _CONFIG_FILE)
    if values is None:
        raise ConfigFault("%s: not JSON" % _CONFIG_FILE)
    checked(values)
    if by_hand:
        _take_over("config", values)
    return values


def checked(values):
    """The Settings of an object as `config.json` holds it, or ConfigFault: also before it is written."""
    if type(values) is not dict:
        raise ConfigFault("%s: must be an object" % _CONFIG_FILE)
    if values.get("v") != 1:
        raise _found("v", values.get("v"), "1")
    device = values.get("device")
    if type(device) is not str or not 1 <= len(device) <= 32 or not all(c in _DEVICE_LETTERS for c in device):
        raise _found("device", device, "1 to 32 of a-z 0-9 -")
    for key, length_max in (("wifi_ssid", 32), ("wifi_password", 64), ("mqtt_host", 255)):
        _text(key, values.get(key), length_max)
    if not values["mqtt_host"]:
        raise ConfigFault("%s: mqtt_host: must not be empty" % _CONFIG_FILE)
    port = values.get("mqtt_port")
    if type(port) is not int or not 1 <= port <= 65535:
        raise _found("mqtt_port", port, "1 to 65535")
    for key in _FLAGS:
        if type(values.get(key, False)) is not bool:
            raise _found(key, values[key], "true or false")
    for key, length_max in _TEXTS:
        _text(key, values.get(key, ""), length_max)
    average_s = values.get("average_s", _AVERAGE_S[0])
    if type(average_s) is not int or average_s not in _AVERAGE_S:
        raise _found("average_s", average_s, "one of 4, 8, 16")
    return _settings(values, average_s)


def _settings(values, average_s):
    settings = Settings()
    for key in ("device", "wifi_ssid", "wifi_password", "mqtt_host", "mqtt_port"):
        setattr(settings, key, values[key])
    settings.average_s = average_s
    for key in _FLAGS:
        setattr(settings, key, values.get(key, False))
    for key, _ in _TEXTS:
        setattr(settings, key, values.get(key, ""))
    settings.time_host = settings.time_host or settings.mqtt_host
    return settings


def _text(key, text, length_max):
    # What was found is not repeated: it may be a password.
    if type(text) is not str or len(text) > length_max:
        raise ConfigFault("%s: %s: must be text of at most %d" % (_CONFIG_FILE, key, length_max))


def _found(key, value, allowed):
    return ConfigFault("%s: %s: found %s, must be %s" % (_CONFIG_FILE, key, repr(value)[:40], allowed))


def load_calibration(device):
    """(calibration, fault): the dict for this board and "", or {} and why there is none ("" if there is no file)."""
    values, by_hand = _found_in_flash("calibration")
    if values == {} and not by_hand:
        return {}, ""
    fault = calibration_fault(values, device)
    if fault:
        return {}, fault
    if by_hand:
        _take_over("calibration", values)
    return values, ""


def calibration_fault(values, device):
    """Why an object cannot be this board's calibration, or "": also for one that is still to be written."""
    if values is None:
        return "calibration_unreadable"
    if type(values) is not dict or values.get("v") != 1 or not _usable(values):
        return "calibration_invalid"
    if values.get("device") != device:
        # Of another board: its LEDs and its pressure sensor are not ours.
        return "calibration_foreign"
    return ""


def calibration_status(calibration):
    """The `calibration` field of the status: calibrated only when oximeter and pressure both are.

    Red and infrared swapped, as on some clones, is only seen at the bench: without that the LED order is unverified.
    """
    status = {"state": "uncalibrated", "led_order": "verified" if "led_order" in calibration else "unverified"}
    if "spo2" in calibration and "pressure" in calibration:
        status["state"] = "calibrated"
        status["made_on"] = calibration.get("made_on", "")
    return status


def _found_in_flash(name):
    """(values, whether a hand put them there): {} when there are none, None when they are not JSON."""
    try:
        with open(name + ".json") as file:
            return json.load(file), True
    except OSError:
        return store.load(name), False
    except ValueError:
        return None, True


def _take_over(name, values):
    try:
        store.save(name, values)
    except OSError:
        pass  # a full flash: the plain file stays and is read again at the next start


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


def forget():
    """Leave this module to the collector."""
    del sys.modules["chair.config"]
    del sys.modules["chair"].config
