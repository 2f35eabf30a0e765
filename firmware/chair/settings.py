"""What the program knows of its configuration once chair/config.py has read and checked it."""


class ConfigFault(Exception):
    """The configuration cannot be used; the text names the key, what was found and what is allowed."""


class Settings:
    """The keys of `config.json` as attributes, the optional ones filled in; chair/config.py says what each means."""

    device: str
    wifi_ssid: str
    wifi_password: str
    mqtt_host: str
    mqtt_port: int
    mqtt_user: str
    mqtt_password: str
    time_host: str
    average_s: int
    same_limb: bool
    tls: bool
    console: bool
    seat_sensor: bool
    battery: bool
