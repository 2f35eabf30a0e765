"""`chairside doctor` on real parts: all good is said so, and each thing that is broken is named with what to do."""

import secrets
import subprocess
import sys
from pathlib import Path

from gateway_process import Gateway
from grafana_double import GrafanaDouble
from servers import Influxd, Mosquitto, free_port, wait_until

CHAIRSIDE = Path(sys.executable).parent / "chairside"


def examined(config: Path) -> tuple[int, dict[str, str]]:
    """The exit code, and by part its line with what to do."""
    command = [CHAIRSIDE, "doctor", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={"COLUMNS": "500"})
    parts: dict[str, str] = {}
    for line in done.stdout.splitlines():
        if line.startswith(("good", "look", "bad")):
            part = line.split(":")[0].split(maxsplit=1)[1]
            parts[part] = line
        else:
            parts[part] += line
    return done.returncode, parts


def test_a_site_that_works_is_called_good(influxd: Influxd, tmp_path: Path) -> None:
    """Broker, gateway, journal, disk, InfluxDB and Grafana are found good; a board that is off is something to look at;
    a Grafana that refuses the token is bad."""
    # A broker of its own: what other boards left on a shared one is refused, and the doctor says so.
    mosquitto, grafana = Mosquitto(tmp_path), GrafanaDouble(secrets.token_hex(8))
    mosquitto.start()
    grafana.start()
    more = (
        f'[influx]\nversion = 1\nurl = "{influxd.url}"\ndatabase = "doctor"\n'
        f'[grafana]\nurl = "{grafana.url}"\ntoken = "{grafana.token}"\n'
    )
    gateway = Gateway(tmp_path, mosquitto.url, "doctors", {"bay-1": "cb-doctor"}, more)
    gateway.start()
    try:
        wait_until(gateway.journal.exists, "the journal")
        code, parts = wait_until(
            lambda: (found := examined(gateway.config))[1].get("journal", "").startswith("good") and found, "a row", 60
        )
        assert code == 0, parts
        for part in ("broker", "gateway", "journal", "disk", "InfluxDB", "Grafana"):
            assert parts[part].startswith("good"), parts[part]
        assert parts["boards"].startswith("look")
        assert "0 of 1" in parts["boards"]
        grafana.mode = "unauthorised"
        code, parts = examined(gateway.config)
        assert code == 1
        assert "refuses the token" in parts["Grafana"]
    finally:
        gateway.stop()
        grafana.stop()
        mosquitto.stop()


def test_what_is_broken_is_named_with_what_to_do(tmp_path: Path) -> None:
    """No broker, no journal, no database: each has its line and its advice, and the exit code is 1."""
    nowhere = free_port()
    (tmp_path / "gateway.toml").write_text(
        f'[site]\nname = "clinic"\n[mqtt]\nurl = "mqtt://127.0.0.1:{nowhere}"\n[chairs]\nbay-1 = "cb-1"\n'
        f'[journal]\npath = "journal.db"\n[influx]\nversion = 1\nurl = "http://127.0.0.1:{nowhere}"\ndatabase = "x"\n'
    )
    code, parts = examined(tmp_path / "gateway.toml")
    assert code == 1
    assert "systemctl start mosquitto" in parts["broker"]
    assert "start the gateway" in parts["journal"]
    assert "the journal keeps every row" in parts["InfluxDB"]


def test_a_database_that_is_missing_is_bad_and_stays_missing(influxd: Influxd, tmp_path: Path) -> None:
    """Looking makes nothing; the advice says who makes it."""
    (tmp_path / "gateway.toml").write_text(
        f'[site]\nname = "clinic"\n[mqtt]\nurl = "mqtt://127.0.0.1:{free_port()}"\n[chairs]\nbay-1 = "cb-1"\n'
        f'[journal]\npath = "journal.db"\n[influx]\nversion = 1\nurl = "{influxd.url}"\ndatabase = "unmade"\n'
    )
    code, parts = examined(tmp_path / "gateway.toml")
    assert code == 1
    assert parts["InfluxDB"].startswith("bad")
    assert "the gateway makes it when it starts" in parts["InfluxDB"]
    assert "unmade" not in {row["name"] for row in influxd.rows("SHOW DATABASES")}
