"""A wrong configuration stops the start and says where, what was found and what is allowed."""

from pathlib import Path

import pytest

from gateway.config import ConfigError, load

EXAMPLE = Path(__file__).parents[2] / "gateway" / "gateway.example.toml"
GOOD = """
[site]
name = "clinic"
[mqtt]
url = "mqtt://nurse:s%40y@broker:1884"
[chairs]
bay-1 = "cb-000001"
[journal]
path = "journal.db"
"""
INFLUX2 = '[influx]\nversion = 2\nurl = "http://db:8086"\norg = "o"\nbucket = "b"\n'


def loaded(tmp_path, text, **environment):
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return load(path, environment)


def test_the_example_is_valid():
    """Who copies it starts with a file that works."""
    config = load(EXAMPLE, {})
    assert config.chairs == {"bay-1": "cb-000001", "bay-2": "cb-000002"}
    assert config.journal.path == str(EXAMPLE.parent / "journal.db")


def test_the_broker_address_is_taken_apart(tmp_path):
    """User and password may hold signs that an address writes as %40."""
    mqtt = loaded(tmp_path, GOOD).mqtt
    assert (mqtt.host, mqtt.port, mqtt.user, mqtt.password) == ("broker", 1884, "nurse", "s@y")


def test_the_environment_replaces_the_broker(tmp_path):
    """One file serves the clinic and a test against another broker."""
    assert loaded(tmp_path, GOOD, CHAIRSIDE_MQTT_URL="mqtt://other").mqtt.host == "other"


def test_the_token_may_come_from_the_environment(tmp_path):
    """It need not stand in a file."""
    influx = loaded(tmp_path, GOOD + INFLUX2, CHAIRSIDE_INFLUX_TOKEN="t").influx
    assert influx is not None
    assert influx.token == "t"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "clinic"', 'name = "The Clinic"', [":3: site.name", "found 'The Clinic'", "[a-z0-9]"]),
        ('name = "clinic"', "", [":2: site.name: missing"]),
        ('name = "clinic"', 'name = "clinic', ["line 3"]),
        ('[site]\nname = "clinic"', "", ["site: missing"]),
        ("path =", "paht =", [":9: journal.paht: unknown key", "allowed in [journal]: path, bytes_max"]),
        ('path = "journal.db"', 'path = "journal.db"\nsize = 3', [":10: journal.size: unknown key", "path, bytes_max"]),
        ("[journal]", "[jurnal]\n[journal]", [":8: jurnal: unknown key", "site, mqtt, chairs, journal"]),
        ('path = "journal.db"', 'path = "journal.db"\n[web]\nport = "x"', [":11: web.port", "expected `int`", "'x'"]),
        ('path = "journal.db"', 'path = "journal.db"\n[web]\nport = 70000', ["web.port", "65535", "70000"]),
        ('bay-1 = "cb-000001"', 'bay-1 = "cb-000001"\nbay-2 = "cb-000001"', [":8: chairs.bay-2", "at 'bay-1' too"]),
        ('bay-1 = "cb-000001"', '"Bay 1" = "cb-000001"', [":6: chairs: found 'Bay 1'", "a-z, 0-9"]),
        ('bay-1 = "cb-000001"', 'bay-1 = "CB_1"', [":6: chairs: found 'CB_1'", "a-z, 0-9"]),
        ('bay-1 = "cb-000001"', "bay-1 = 7", [":6: chairs: found 7"]),
        ('bay-1 = "cb-000001"', "", [":6: chairs: is empty", 'bay-1 = "cb-000001"']),
        ('[site]\nname = "clinic"', 'site = "clinic"', [":2: site: expected a table", "found 'clinic'"]),
        ("mqtt://nurse:s%40y@", "http://nurse:secret@", [":5: mqtt.url: found 'http://***@broker:1884'", "mqtt://"]),
        (":1884", ":99999999", [":5: mqtt.url", "allowed is mqtt://"]),
        ('url = "mqtt://nurse:s%40y@broker:1884"', "url = 5", [":5: mqtt.url: expected `str`", "found 5"]),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where_and_what(tmp_path, old, new, said):
    """Line or key, what was found, what is allowed."""
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD.replace(old, new))
    assert "gateway.toml" in str(caught.value)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("influx", "said"),
    [
        ('[influx]\nversion = 3\nurl = "http://db"', ["influx.version", "3"]),
        ('[influx]\nversion = 1\nurl = "http://db"', ["influx.database: missing", "version 1 needs database"]),
        ('[influx]\nversion = 1\nurl = "db"\ndatabase = "d"', ["influx.url: found 'db'", "http://host:8086"]),
        (
            '[influx]\nversion = 1\nurl = "http://db"\ndatabase = "d"\nbucket = "b"',
            ["influx.bucket: not for version 1"],
        ),
        (INFLUX2, ["influx.token: missing", "CHAIRSIDE_INFLUX_TOKEN"]),
    ],
)
def test_a_wrong_database_says_what_its_version_needs(tmp_path, influx, said):
    """Half a database setting is found at the start, not by an empty dashboard."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD + influx)
    for words in said:
        assert words in str(caught.value)


def test_a_secret_is_never_shown(tmp_path):
    """Not even when it has the wrong type."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD + INFLUX2 + "token = 424242\n")
    assert "influx.token" in str(caught.value)
    assert "424242" not in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path):
    """The first thing that somebody new sees."""
    with pytest.raises(ConfigError, match=r"not found; copy gateway/gateway\.example\.toml"):
        load(tmp_path / "nothing.toml", {})
