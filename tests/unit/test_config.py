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
        ('name = "clinic"', 'name = "The Clinic"', [":3: site.name: found 'The Clinic'; allowed: a name", "a-z, 0-9"]),
        ('name = "clinic"', "", [":2: site.name: found nothing; allowed: a name of 1 to 32"]),
        ('name = "clinic"', 'name = "clinic', [":3: found what is not TOML", "in 'name = \"clinic'"]),
        ('[site]\nname = "clinic"', "", ["toml: site: found nothing; allowed: a table of name"]),
        ("path =", "paht =", [":9: journal.paht: found a key that is not known", "bytes_max (did you mean path?)"]),
        ('path = "journal.db"', 'path = "journal.db"\nsize = 3', [":10: journal.size: found a key", "path, bytes_max"]),
        ("[journal]", "[jurnal]\n[journal]", [":8: jurnal: found a key", "did you mean journal?"]),
        ('path = "journal.db"', 'path = "journal.db"\n[web]\nport = "x"', [":11: web.port: found 'x'; allowed: a"]),
        ('path = "journal.db"', 'path = "journal.db"\n[web]\nport = 70000', ["web.port: found 70000", "1 to 65535"]),
        ('bay-1 = "cb-000001"', 'bay-1 = "cb-000001"\nbay-2 = "cb-000001"', [":8: chairs.bay-2", "at 'bay-1' too"]),
        ('bay-1 = "cb-000001"', '"Bay 1" = "cb-000001"', [":7: chairs.Bay 1: found the name 'Bay 1'", "a-z, 0-9"]),
        ('bay-1 = "cb-000001"', 'bay-1 = "CB_1"', [":7: chairs.bay-1: found 'CB_1'", "a-z, 0-9"]),
        ('bay-1 = "cb-000001"', "bay-1 = 7", [":7: chairs.bay-1: found 7"]),
        ('bay-1 = "cb-000001"', "", [":6: chairs: found an empty table", 'bay-1 = "cb-000001"']),
        ('[site]\nname = "clinic"', 'site = "clinic"', [":2: site: found 'clinic'; allowed: a table of name"]),
        ("mqtt://nurse:s%40y@", "http://nurse:secret@", [":5: mqtt.url: found 'http://***@broker:1884'", "mqtt://"]),
        (":1884", ":99999999", [":5: mqtt.url", "allowed: mqtt://"]),
        ('url = "mqtt://nurse:s%40y@broker:1884"', "url = 5", [":5: mqtt.url: found 5; allowed: a text"]),
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
        ('[influx]\nversion = 1\nurl = "http://db"', ["influx.database: found nothing", "version 1 needs database"]),
        ('[influx]\nversion = 1\nurl = "db"\ndatabase = "d"', ["influx.url: found 'db'", "http://host:8086"]),
        (
            '[influx]\nversion = 1\nurl = "http://db"\ndatabase = "d"\nbucket = "b"',
            ["influx.bucket: found a key of the other version, 'b'; allowed: for version 1"],
        ),
        (INFLUX2, ["influx.token: found nothing", "CHAIRSIDE_INFLUX_TOKEN"]),
    ],
)
def test_a_wrong_database_says_what_its_version_needs(tmp_path, influx, said):
    """Half a database setting is found at the start, not by an empty dashboard."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD + influx)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        INFLUX2 + "token = 424242\n",
        INFLUX2 + 'token = "424242\n',
        "[[influx]]\nversion = 2\ntoken = '424242'\n",
        "[influx]\nversion = 1\nurl = 'htp://u:424242@h'\ndatabase = 'd'\n",
        "[influx]\nversion = 2\nurl = 'http://h'\norg = 'o'\nbucket = 'b'\ntoken = 't'\npassword = '424242'\n",
    ],
)
def test_a_secret_is_never_shown(tmp_path, wrong):
    """Not even when it has the wrong type, stands in the wrong place, or breaks the file."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD + wrong)
    assert "allowed: " in str(caught.value)
    assert "424242" not in str(caught.value)


def test_all_that_is_wrong_is_told(tmp_path):
    """Who mends a file does not start the gateway once for each mistake; the sentence says how many more there are."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD.replace('"clinic"', "3").replace("bay-1", "BAY"))
    assert [fault.key for fault in caught.value.faults] == ["site.name", "chairs.BAY"]
    assert "(and 1 more; chairside check-config lists all)" in str(caught.value)


def test_a_clinics_own_values_are_found_beside_the_file(tmp_path):
    """Where the journal and the protocols are too."""
    config = loaded(tmp_path, GOOD + '[protocols]\nlimits = "clinic.toml"\n')
    assert config.protocols.limits == str(tmp_path / "clinic.toml")


def test_a_missing_file_says_what_to_do(tmp_path):
    """The first thing that somebody new sees."""
    with pytest.raises(ConfigError, match=r"no such file; allowed: a copy of gateway/gateway\.example\.toml"):
        load(tmp_path / "nothing.toml", {})
