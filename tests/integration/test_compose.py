"""The whole stack: compose.yaml as Compose reads it, what each service may do, and its services run as processes.

Docker's engine is not here. What is: every command, environment, file and health check of our services and mosquitto,
from the built wheel, over TLS and the access list, from a simulated board's finger to the wall and to a database.
"""

import json
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from compose_stack import ROOT, Stack, mounts, services
from influx2_double import Influx2Double
from servers import VictoriaMetrics, wait_until

from gateway.config import load
from gateway.container.prepare import UIDS

SERVICES = services()
ONCE = ("prepare", "grafana-token")
OURS = [name for name, one in SERVICES.items() if one["image"].startswith("chairside:")]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_compose_accepts_the_file() -> None:
    """Docker's own reader finds nothing wrong; simulators run only where they are asked for."""
    assert shutil.which("docker-compose"), "docker-compose is not installed. Run: sudo apt-get install docker-compose"
    command = ["docker-compose", "--profile", "sim", "config", "--services"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, set(done.stdout.split())) == (0, set(SERVICES)), done.stderr
    assert {name for name, one in SERVICES.items() if one.get("profiles") == ["sim"]} == {"board-1", "board-2"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_shut_in(name: str) -> None:
    """No service may write to its image, gain rights, or fill the disk with its log; each says whether it is well."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+", service["image"]), "not an exact tag"
    if name in ONCE:
        assert service["restart"] == "no"
        assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE"]
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert "cap_add" not in service


def test_only_the_wall_is_open_to_the_network() -> None:
    """Everything else is for this computer until somebody says otherwise."""
    ports = {port for one in SERVICES.values() for port in one.get("ports", [])}
    assert {port for port in ports if not port.startswith("127.0.0.1:")} == {"0.0.0.0:8080:8080"}
    opened = services(CHAIRSIDE_BROKER_ADDRESS="192.168.20.2")
    assert opened["mosquitto"]["ports"] == ["192.168.20.2:8883:8883"]


def test_nobody_looks_at_dashboards_without_a_login_unless_switched_on() -> None:
    """The kiosk is one line in .env, and then may only look."""
    assert SERVICES["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    on = services(CHAIRSIDE_KIOSK="true")["grafana"]["environment"]
    assert (on["GF_AUTH_ANONYMOUS_ENABLED"], on["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("true", "Viewer")


def test_no_password_stands_in_the_file() -> None:
    """Each is read from a file that is made at the first start."""
    for one in SERVICES.values():
        for key, value in one.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", key):
                assert key.endswith("_FILE") or value in ("none", ""), key


@pytest.mark.parametrize("name", ["prepare", "web", "gateway"])
def test_a_configuration_with_grafana_is_read_by_all(name: str, tmp_path: Path) -> None:
    """Only the gateway has its tokens; the others are not stopped for want of them."""
    text = (ROOT / "gateway" / "container" / "site" / "gateway.toml").read_text()
    (tmp_path / "gateway.toml").write_text(text + '[grafana]\nurl = "http://grafana:3000"\n')
    (tmp_path / "token").write_text("of-influx")
    given = services(CHAIRSIDE_GRAFANA_TOKEN="of-grafana")[name]["environment"]
    if "CHAIRSIDE_INFLUX_TOKEN_FILE" in given:
        given["CHAIRSIDE_INFLUX_TOKEN_FILE"] = str(tmp_path / "token")
    found = load(tmp_path / "gateway.toml", given)
    assert found.influx is not None
    assert found.grafana is not None
    expected = ("of-influx", "of-grafana") if name == "gateway" else ("none", "none")
    assert (found.influx.token, found.grafana.token) == expected


@pytest.mark.parametrize("name", [*OURS, "mosquitto", "influxdb", "grafana"])
def test_a_service_sees_the_secrets_that_it_names_and_no_others(name: str) -> None:
    """A path that is not mounted would be found at the first start only; what is mounted is used."""
    service = SERVICES[name]
    words = json.dumps([service.get(key) for key in ("command", "environment", "healthcheck")])
    if "/etc/chairside/gateway.toml" in words:
        site = tomllib.loads((ROOT / "gateway" / "container" / "site" / "gateway.toml").read_text())
        if name == "web":
            site = {"web": site["web"], "ca": site["mqtt"]["ca"]}
        words += json.dumps(site) if name != "prepare" else ""
    named = {found[1] for found in re.finditer(r"((?:/secrets/|/etc/grafana/secrets)[a-z]*)", words)}
    mounted = {target for target, source in mounts(service).items() if source.endswith("-secrets")}
    if name in ONCE:
        assert not named
        assert all(target == "/secrets/" + target.split("/")[2] for target in mounted)
    else:
        assert named == mounted
        assert "authority:" not in str(service["volumes"])


def test_who_depends_on_whom() -> None:
    """Patients are watched without InfluxDB and Grafana; the broker never starts with half of its keys."""
    waits = {name: one.get("depends_on", {}) for name, one in SERVICES.items()}
    well, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    assert waits["prepare"] == {}
    assert waits["mosquitto"] == waits["influxdb"] == {"prepare": done}
    assert waits["gateway"] == waits["web"] == waits["board-1"] == {"mosquitto": well}
    assert waits["grafana-token"] == {"influxdb": well}
    assert waits["grafana"] == {"grafana-token": done}


def test_the_image_is_of_this_version_and_locked() -> None:
    """Compose, the label and the package say one version; no package comes without its hash."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    version = PYPROJECT["project"]["version"]
    assert f'image.version="{version}"' in dockerfile
    assert {SERVICES[name]["image"] for name in OURS} == {f"chairside:{version}"}
    installs = re.findall(r"pip install (.+)", dockerfile)
    assert all("--require-hashes" in one or "--no-build-isolation" in one for one in installs)
    assert dockerfile.index("USER 10001") < dockerfile.index("HEALTHCHECK")
    assert {UIDS["gateway"], UIDS["web"], UIDS["boards"]} == {10001}
    for name in ("mosquitto", "influxdb"):
        own = {"mosquitto": "broker"}.get(name, name)
        assert SERVICES[name]["user"] == f"{UIDS[own]}:{UIDS[own]}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed, with nothing of the checkout around it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # As .dockerignore lets it through.
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_holds_what_its_programs_read(wheel: Path) -> None:
    """Every file beside the code that a command opens: none is found in the checkout only."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    packages = tuple(f"{name}/" for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    expected = [name for name in tracked if name.startswith(packages) and (ROOT / name).exists()]
    assert {"gateway/protocols/demo.toml", "gateway/web/static/index.html", "hardware/board.toml"} <= set(expected)
    assert [name for name in expected if not (wheel / name).exists()] == []
    assert not [*wheel.rglob("*.pyc")]
    (entry,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "chairside = gateway.cli:app" in entry.read_text()


def test_the_installed_command_is_not_the_checkout_s(wheel: Path, tmp_path: Path) -> None:
    """`chairside` of the wheel finds its protocols, its parts, and the firmware of simulated boards."""
    asked = (
        "import gateway, simulators.plan, simulators.conductor, gateway.protocols as p; "
        "print(gateway.__file__, simulators.plan.load().scl_gpio, len(p.load_all()))"
    )

    def said(*words: str) -> str:
        command, environment = [sys.executable, *words], {"PYTHONPATH": str(wheel), "COLUMNS": "200"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    where, scl, protocols = said("-c", asked).split()
    assert where.startswith(str(wheel))
    assert int(scl) > 0
    assert int(protocols) >= 4
    help_ = said("-m", "gateway.cli", "--help")
    assert all(part in help_ for part in ("gateway", "sim", "bench", "analyse"))


def events(port: int) -> Iterator[dict[str, Any]]:
    """What the wall page is told, as it comes."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/events")
        stream = connection.getresponse()
        while raw := stream.readline():
            if raw.startswith(b"data: "):
                yield json.loads(raw[6:])


def test_the_stack_brings_a_board_s_vitals_to_the_wall(wheel: Path, victoria: VictoriaMetrics, tmp_path: Path) -> None:
    """Each service of ours and mosquitto, in the order of `depends_on`, each healthy by its own check: a simulated
    board's numbers are on the wall, live, and in the database. VictoriaMetrics stands in for InfluxDB 2's rows, a
    double for its tokens, and Grafana is not run."""
    with Influx2Double("", victoria) as influx, Stack(tmp_path, wheel, influx.port) as stack:
        said = stack.once("prepare")
        secrets = tmp_path / "secrets"
        influx.admin = (secrets / "influxdb" / "token").read_text()
        assert influx.admin not in said
        stack.start("mosquitto")
        stack.wait_healthy("mosquitto")
        for name in ("gateway", "web", "board-1"):
            stack.start(name)
        stack.once("grafana-token")
        token = (secrets / "grafana" / "influx-token").read_text()
        assert token in {one["token"] for one in influx.given.values()}
        for name in ("gateway", "web", "board-1"):
            stack.wait_healthy(name)
        for event in events(stack.wall_port):
            state = event.get("state") or {}
            spo2 = (state.get("vitals") or {}).get("spo2_pct")
            if event.get("chair") == "bay-1" and spo2 and not event.get("retained"):
                break
        assert 95 <= spo2 <= 100
        known = stack.log("mosquitto").read_text()
        assert all(f"u'{user}'" in known for user in ("cb-000001", "chairside-gateway", "chairside-web"))
        wait_until(lambda: influx.written > 10, "rows in the database")
        for command in documented("exec gateway"):
            stack.run("gateway", command)
        wait_until(lambda: victoria.export('{__name__="vitals_spo2_pct",site="clinic"}'), "the saturation's series")


def documented(what: str) -> list[list[str]]:
    """What the page has a reader type after `docker compose ...`."""
    page = (ROOT / "docs" / "how-to" / "run-the-whole-stack.md").read_text()
    found = [shlex.split(line) for line in re.findall(rf"^docker compose {what} (.+)$", page, re.MULTILINE)]
    assert found
    return found


def test_the_page_names_services_and_settings_that_exist() -> None:
    """Every service in its commands is one of the file's, every variable one that the file reads."""
    page = (ROOT / "docs" / "how-to" / "run-the-whole-stack.md").read_text()
    named = {words[0] for words in documented("exec")} | set(documented("restart")[0])
    named |= {next(word for word in words if word in SERVICES) for words in documented("run")}
    assert named <= set(SERVICES)
    settings = set(re.findall(r"\$\{(CHAIRSIDE_\w+):-", (ROOT / "compose.yaml").read_text()))
    explained = set(re.findall(r"^#   (CHAIRSIDE_\w+)", (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    assert settings == explained
    assert set(re.findall(r"(CHAIRSIDE_\w+)=", page)) <= settings


def test_grafana_is_given_all_that_its_provisioning_names() -> None:
    """A variable that is not set would be an empty address; a file that is not there would stop Grafana."""
    grafana = SERVICES["grafana"]
    given = {key for key in grafana["environment"] if key.startswith("CHAIRSIDE_")}
    inside = {
        source: target for target, source in mounts(grafana).items() if source.startswith("./grafana/provisioning")
    }
    files = [file for source in inside for file in (ROOT / source, *(ROOT / source).glob("*.yaml")) if file.is_file()]
    assert len(files) == 3
    text = "".join(file.read_text() for file in files)
    assert set(re.findall(r"\$(CHAIRSIDE_\w+)", text)) == given
    folder, name = mounts(SERVICES["grafana-token"]), "influx-token"
    assert folder["/secrets/grafana"] == mounts(grafana)["/etc/grafana/secrets"]
    assert re.findall(r"\$__file\{(.+?)\}", text) == [f"/etc/grafana/secrets/{name}"]
    for target in inside.values():
        assert target.startswith("/etc/grafana/provisioning/")
    page = (ROOT / "docs" / "how-to" / "install-on-a-raspberry-pi.md").read_text()
    assert given <= set(re.findall(r"Environment=(CHAIRSIDE_\w+)", page))


def test_a_secret_is_its_owner_s_alone(wheel: Path, tmp_path: Path) -> None:
    """The user of each container owns its files, and nobody else may read them."""
    stack = Stack(tmp_path, wheel, 1)
    stack.once("prepare")
    for path in (tmp_path / "secrets").rglob("*"):
        who = path.relative_to(tmp_path / "secrets").parts[0]
        if path.is_dir() or who == "authority":
            continue
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert found.st_uid == path.parent.stat().st_uid
        assert found.st_uid in (UIDS[who], tmp_path.stat().st_uid)
