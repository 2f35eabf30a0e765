"""The bench's side of the console against the unmodified firmware on the unix port, over a pty.

The board's time is virtual and runs as fast as it can; one test at the end is in real time.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Server
from typer.testing import CliRunner, Result

from hardware.bench.cli import PRESSURES_MMHG, app
from hardware.bench.console import Console, Line, NoPort, Refused
from hardware.bench.points import NoPoint, Taker
from simulators.bench import CUFF_POINTS_MMHG, SPO2_POINTS_PCT, Bench, UsbBench
from simulators.cli import app as simulated
from simulators.conductor import SimBoard
from simulators.world.chair import ChairWorld
from simulators.world.patient import Patient

DEVICE = "cb-000007"
SEED = 7
CALIBRATION = {"v": 1, "device": DEVICE, "pressure": {"zero_v": 0.12, "mmhg_per_v": 139.0}}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no silent board."""
    monkeypatch.setattr("hardware.bench.console.FIND_S", 60.0)
    monkeypatch.setattr("hardware.bench.console.ANSWER_S", 60.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[UsbBench]:
    with UsbBench(DEVICE, SEED, tmp_path / "flash") as bench:
        yield bench


@pytest.fixture
def console(bench: UsbBench) -> Iterator[Console]:
    with Console(bench.port) as console:
        yield console


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, words, input=typed, env={"COLUMNS": "120"})


# ---- who it is


def test_it_says_who_it_is(bench: UsbBench, console: Console) -> None:
    """Device, firmware, boot, processor, slot, security counter, reset cause and heap, in one answer."""
    identity = console.identity
    assert (identity["device"], identity["board"], identity["unique_id"]) == (DEVICE, "chairside-c1", "240ac4000007")
    assert len(identity["boot"]) == 16
    assert identity["reset_cause"] == "power_on"
    assert identity["heap_free_bytes"] > 0
    assert {"firmware", "slot", "security", "boots", "calibration", "faults"} <= identity.keys()


def test_identify_prints_it(bench: UsbBench) -> None:
    """The command shows the same as a table, and on request lets lamps and sounder speak."""
    result = run("identify", bench.port, "--show")
    assert result.exit_code == 0, result.output
    assert DEVICE in result.output
    bench.run(1)
    lit = [name for _, name, level in bench.world.output_log if name.startswith("lamp") and level]
    assert set(lit) == {"lamp_red", "lamp_yellow", "lamp_cyan"}


# ---- self-test


def test_a_good_board_passes(bench: UsbBench) -> None:
    """Every check of a sound board, also with pump and valves, passes; the table shows what was found."""
    result = run("self-test", bench.port, "--cuff")
    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.output
    assert "part id 0x15 at 0x57" in result.output
    assert bench.world.cuff.facts.pressure_mmhg_max < 80


def test_without_a_word_nothing_moves(bench: UsbBench, console: Console) -> None:
    """The self-test alone looks: no pump, no valve."""
    before = len(bench.world.output_log)
    assert console.ask("self_test")["failed"] == 0
    moved = {name for _, name, _ in list(bench.world.output_log)[before:]}
    assert moved & {"pump", "dump_valve", "bleed_valve"} == set()


def dark(bench: UsbBench, colour: int) -> None:
    light = bench.world.oximeter.light
    bench.world.oximeter.light = lambda t, *ma: light(t, *(0.0 if i == colour else x for i, x in enumerate(ma)))


def set_to(target: Callable[[UsbBench], Any], name: str, value: object) -> Callable[[UsbBench], None]:
    return lambda bench: setattr(target(bench), name, value)


BROKEN: dict[str, tuple[Callable[[UsbBench], object], set[str]]] = {
    "oximeter silent": (lambda b: b.world.bus.silent.add(b.world.plan.oximeter_address), {"oximeter"}),
    "oximeter a clone": (set_to(lambda b: b.world.oximeter, "part_id", 0x11), {"oximeter"}),
    "red diode dead": (lambda b: dark(b, 0), {"red_led"}),
    "infrared diode dead": (lambda b: dark(b, 1), {"infrared_led"}),
    "oximeter slow": (set_to(lambda b: b.world.oximeter, "clock_error", -0.05), {"oximeter_rate"}),
    "converter silent": (lambda b: b.world.bus.silent.add(b.world.plan.pressure_adc_address), {"pressure_adc"}),
    "sensor off": (set_to(lambda b: b.world, "sensor_drift_mmhg", 14.0), {"pressure_sensor"}),
    "button stuck": (lambda b: b.world.press("button_call"), {"button_call"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_part_is_named(bench: UsbBench, console: Console, name: str) -> None:
    """Exactly the check of the part that is broken fails."""
    breaks, failed = BROKEN[name]
    bench.do(lambda: breaks(bench))
    checks: list[Line] = []
    answer = console.ask("self_test", checks.append)
    assert {check["check"] for check in checks if not check["passed"]} == failed
    assert answer["failed"] == len(failed)


MOVES: dict[str, tuple[Callable[[UsbBench], object], str, str]] = {
    "pump dead": (set_to(lambda b: b.world.cuff, "pump_dead", True), "pump", "no_rise"),
    "dump valve stuck": (set_to(lambda b: b.world.cuff, "dump_stuck_shut", True), "dump valve", "bleed valve"),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_does_not_move_is_named(bench: UsbBench, name: str) -> None:
    """With `--cuff` a dead pump or a stuck valve fails the test, with 1, and the cuff is empty in the end."""
    breaks, check, found = MOVES[name]
    bench.do(lambda: breaks(bench))
    result = run("self-test", bench.port, "--cuff")
    assert result.exit_code == 1
    failed = [line for line in result.output.splitlines() if "FAILED" in line]
    assert len(failed) == 1, result.output
    assert check in failed[0]
    assert found in failed[0]
    assert bench.world.cuff.pressure_mmhg(bench.board.now_s()) < 15


def test_signals_and_buttons_ask_the_engineer(bench: UsbBench) -> None:
    """Lamps and sounder pass by the engineer's word, a button when it is pressed."""
    bench.board.agenda.every(1_000_000, lambda: bench.world.press("button_acknowledge"), 0)
    result = run("self-test", bench.port, "--signals", "--buttons", typed="y\n")
    failed = [line for line in result.output.splitlines() if "FAILED" in line]
    assert result.exit_code == 1
    assert any("lamps sounder" in line and "passed" in line for line in result.output.splitlines())
    assert any("press call" in line for line in failed)


# ---- what it sees


def test_the_raw_stream_is_what_the_chip_counted(bench: UsbBench, tmp_path: Path) -> None:
    """Every sample of the stream is one that the chip pushed, in order, without a gap, with its time."""
    pushed: list[tuple[int, int]] = []
    push = bench.world.oximeter._push

    def pushing(sample: bytes) -> None:
        pushed.append((int.from_bytes(sample[:3], "big"), int.from_bytes(sample[3:], "big")))
        push(sample)

    bench.do(lambda: setattr(bench.world.oximeter, "_push", pushing))
    out = tmp_path / "raw.csv"
    result = run("stream", bench.port, "--seconds", "5", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert " 0 lost" in result.output
    rows = [(float(row["t_s"]), int(row["red"]), int(row["ir"])) for row in csv.DictReader(out.open())]
    counts = [(red, ir) for _, red, ir in rows]
    assert 490 <= len(counts) <= 520
    start = pushed.index(counts[0])
    assert pushed[start : start + len(counts)] == counts
    assert rows[-1][0] == pytest.approx(5.0, abs=0.15)


def test_a_hold_follows_the_manometer_and_ends_by_itself(bench: UsbBench, console: Console) -> None:
    """Held at a pressure the board shows what the manometer does, within an uncalibrated sensor's 2 % and 9 mmHg;
    nobody has to end it, and the arm's limits hold."""
    taker = Taker(console)
    for mmhg in (60, 250):
        taker.hold(mmhg)
        manometer: list[float] = []
        bench.do(lambda: manometer.append(bench.world.cuff.pressure_mmhg(bench.board.now_s())))  # noqa: B023
        shown_mmhg = taker.shown_mmhg(held=True)
        assert abs(manometer[0] - mmhg) < 15
        assert abs(shown_mmhg - manometer[0]) < 9 + 0.02 * mmhg
        taker.release()
    console.ask("hold", mmhg=200, seconds=100)
    lines: list[Line] = []
    console.ask("pressure", lines.append, seconds=130)
    assert lines[-1]["cuff"] == "idle"
    facts = bench.world.cuff.facts
    assert facts.pressure_mmhg_max < 300
    assert 100 < facts.held_s_max < 130


def test_a_hold_without_a_cuff_says_what_to_do(bench: UsbBench, console: Console) -> None:
    """With nothing on the hose there is no point to take, and one sentence why."""
    bench.do(lambda: setattr(bench.world.cuff, "leak_size", 200.0))
    with pytest.raises(NoPoint, match="is it round something"):
        Taker(console).hold(150)


# ---- configuration


def test_a_setting_survives_the_restart(bench: UsbBench, console: Console) -> None:
    """Written, restarted, read again; its other keys are as before and no secret is shown."""
    before = console.ask("get", file="config")["values"]
    console.write("config", json.dumps({"average_s": 16, "wifi_password": "not shown"}).encode(), merge=True)
    boot = console.identity["boot"]
    assert console.restart()["boot"] != boot
    assert console.identity["reset_cause"] == "reset"
    after = console.ask("get", file="config")["values"]
    assert after == before | {"average_s": 16, "wifi_password": "***"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"device": "CB 7"}, ["device", "'CB 7'", "a-z 0-9 -"]),
        ({"mqtt_port": 0}, ["mqtt_port", "found 0", "1 to 65535"]),
        ({"average_s": 5}, ["average_s", "found 5", "4, 8, 16"]),
        ({"console": "yes"}, ["console", "'yes'", "true or false"]),
        ({"wifi_password": "x" * 65}, ["wifi_password", "at most 64"]),
    ],
)
def test_a_bad_setting_is_refused_and_changes_nothing(
    bench: UsbBench, console: Console, change: dict[str, Any], named: list[str]
) -> None:
    """The board names the key, what it found and what is allowed, and keeps what it had, also over a restart."""
    before = console.ask("get", file="config")["values"]
    with pytest.raises(Refused) as refused:
        console.write("config", json.dumps(change).encode(), merge=True)
    assert all(words in str(refused.value) for words in named)
    console.restart()
    assert console.ask("get", file="config")["values"] == before


def test_a_calibration_of_another_board_is_refused(bench: UsbBench, console: Console) -> None:
    """Its own is taken and used from the next start on; a foreign or unusable one changes nothing."""
    for bad in (CALIBRATION | {"device": "cb-999999"}, CALIBRATION | {"pressure": {"zero_v": 0.1}}):
        with pytest.raises(Refused, match="calibration"):
            console.write("calibration", json.dumps(bad).encode())
    assert console.ask("get", file="calibration")["values"] == {}
    console.write("calibration", json.dumps(CALIBRATION).encode())
    console.restart()
    assert console.ask("get", file="calibration")["values"] == CALIBRATION


def test_a_board_without_a_configuration_takes_one(tmp_path: Path) -> None:
    """It says what is missing; `provision` writes configuration and keys, and the board starts its work."""
    config = tmp_path / "config.json"
    keys = tmp_path / "keys"
    keys.mkdir()
    with UsbBench(DEVICE, SEED, tmp_path / "flash") as bench:
        flash_config = tmp_path / "flash" / "config.json"
        values = json.loads(flash_config.read_text())
        bench.do(bench.board.cut_power)
        for file in (tmp_path / "flash").glob("config.*"):
            file.unlink()
        bench.do(bench.board.restore_power)
        with Console(bench.port) as console:
            assert "config.json: not found" in console.identity["fault"]
            with pytest.raises(Refused, match="provision the board, or end its safe mode"):
                console.ask("measure")
            checks: list[Line] = []
            assert console.ask("self_test", checks.append)["failed"] == 0
        for name in ("ca.der", "client.der", "client.key.der"):
            (keys / name).write_bytes(bytes(range(256)) * 3)
        config.write_text(json.dumps(values | {"device": "CB"}))
        assert run("provision", bench.port, "--config", str(config)).exit_code == 2
        config.write_text(json.dumps(values, indent=4))
        result = run("provision", bench.port, "--config", str(config), "--tls", str(keys))
        assert result.exit_code == 0, result.output
        with Console(bench.port) as console:
            assert console.identity["device"] == DEVICE
        assert (tmp_path / "flash" / "client.key.der").read_bytes() == (keys / "client.key.der").read_bytes()


def test_config_shows_and_sets(bench: UsbBench) -> None:
    """The command shows the keys without the secrets, and changes one."""
    shown = run("config", bench.port)
    assert shown.exit_code == 0
    assert "mqtt_host" in shown.output
    assert "***" in shown.output
    assert run("config", bench.port, "--set", "mqtt_port=none").exit_code == 2
    assert run("config", bench.port, "--set", "same_limb=true").exit_code == 0
    with Console(bench.port) as console:
        assert console.ask("get", file="config")["values"]["same_limb"] is True


# ---- the port


def test_other_words_on_the_line_are_passed_over(bench: UsbBench, console: Console) -> None:
    """What a program prints beside the answers does not disturb them."""
    console._buffer = b'Traceback (most recent call last):\n{"id": 999, "ok": false}\n[1]\n\xff\n'
    assert console.ask("identity")["device"] == DEVICE


def test_a_port_that_is_not_there_is_bad_input() -> None:
    """One sentence that names the port, and 2."""
    result = run("identify", "/dev/nowhere")
    assert result.exit_code == 2
    assert "/dev/nowhere: no such serial port" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_port_that_another_program_has_is_said(bench: UsbBench, console: Console) -> None:
    """Two programs on one line would read half of the answers each."""
    with pytest.raises(NoPort, match="another program"):
        Console(bench.port)


# ---- a calibration, entirely over the console


SPO2_TESTED_PCT = (98.0, 85.0, 75.0)
CUFF_TESTED_MMHG = ((120.0, 80.0), (160.0, 100.0))


def references(bench: UsbBench) -> Iterator[float]:
    """What the engineer types at each prompt, having set the patient or read the manometer for it."""
    for _ in PRESSURES_MMHG:
        manometer: list[float] = []
        bench.do(lambda: manometer.append(bench.world.cuff.pressure_mmhg(bench.board.now_s())))  # noqa: B023
        yield round(manometer[0], 1)
    for spo2_pct in SPO2_POINTS_PCT:
        bench.do(lambda: bench.patient.set(spo2_pct=spo2_pct))  # noqa: B023
        yield spo2_pct
    yield 0
    bench.do(lambda: bench.patient.set(spo2_pct=98.0))
    for sys_mmhg, dia_mmhg in CUFF_POINTS_MMHG:
        bench.do(lambda: bench.patient.set(sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg))  # noqa: B023
        yield sys_mmhg
        yield dia_mmhg
    yield 0


@pytest.mark.long
def test_a_calibration_made_over_the_console_is_as_good_as_the_benchs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points taken, fitted, written and used over the USB line alone: SpO2 within 2 points, cuff within 8 mmHg of
    the truth where it was not calibrated, as tests/firmware/test_accuracy.py asks of the bench's."""
    out = tmp_path / "calibration.json"
    with UsbBench(DEVICE, SEED, tmp_path / "flash") as bench:
        typed = references(bench)
        monkeypatch.setattr("typer.prompt", lambda *words, **options: next(typed))
        result = run("calibrate", DEVICE, "--port", bench.port, "--out", str(out))
        assert result.exit_code == 0, result.output
        assert "says: calibrated" in result.output
        with Console(bench.port) as console:
            assert console.ask("get", file="calibration")["values"] == json.loads(out.read_text())
    calibration = json.loads(out.read_text())
    assert len(json.loads(out.with_suffix(".points.json").read_text())["cuff"]) == len(CUFF_POINTS_MMHG)
    with Bench(DEVICE, SEED, tmp_path / "accuracy", calibration=calibration) as judge:
        for spo2_pct in SPO2_TESTED_PCT:
            judge.patient.set(spo2_pct=spo2_pct)
            judge.run(15)
            readings = judge.read_vitals(8)
            assert len(readings) >= 7
            assert all(abs(reading.spo2_pct - spo2_pct) <= 2 for reading in readings)
        for sys_mmhg, dia_mmhg in CUFF_TESTED_MMHG:
            judge.patient.set(spo2_pct=98.0, sys_mmhg=sys_mmhg, dia_mmhg=dia_mmhg)
            judge.run(35)
            cuff = judge.measure()
            assert abs(cuff.sys_mmhg - sys_mmhg) <= 8
            assert abs(cuff.dia_mmhg - dia_mmhg) <= 8
    # The manometer is read at one moment of a pulse, and the arm's pulse moves it by a mmHg or two.
    mmhg_per_v = true_mmhg_per_v(bench.world)
    assert calibration["pressure"]["mmhg_per_v"] == pytest.approx(mmhg_per_v, rel=0.01)
    assert abs(calibration["pressure"]["zero_v"] - true_zero_v(bench.world)) * mmhg_per_v < 2


def true_zero_v(world: ChairWorld) -> float:
    return (world.plan.sensor.supply_v * world.plan.sensor.offset + world._sensor_zero_v) * world.plan.sensor.divider


def true_mmhg_per_v(world: ChairWorld) -> float:
    sensor = world.plan.sensor
    return 7.50062 / (sensor.supply_v * sensor.gain_per_kpa * world._sensor_gain * sensor.divider)


# ---- in real time


def test_a_simulated_board_says_where_its_line_is(mosquitto: Server) -> None:
    """`chairside sim board --console` prints the port before anything else."""
    broker = f"mqtt://127.0.0.1:{mosquitto.port}"
    words = ["board", "--device", "cb-0000d2", "--broker", broker, "--seconds", "2", "--console"]
    result = CliRunner().invoke(simulated, words)
    assert result.exit_code == 0, result.output
    assert re.match(r" +port +/dev/\S+\n", result.output)


def test_live_over_a_real_broker(tmp_path: Path, mosquitto: Server) -> None:
    """The same board in real time, beside its link: identity, counts and records."""
    board = SimBoard(
        "cb-0000d1",
        ChairWorld(Patient()),
        tmp_path / "flash",
        mode="live",
        broker=("127.0.0.1", mosquitto.port),
        settings={"console": True},
        console=True,
    )
    board.start()
    assert board.console
    try:
        with Console(board.console.path) as console:
            assert console.identity["device"] == "cb-0000d1"
            assert 90 <= console.ask("stream", seconds=1)["samples"] <= 120
            lines: list[Line] = []
            console.ask("records", lines.append, seconds=1.5)
            assert any(line["record"] == "vitals" for line in lines)
        board.check()
    finally:
        board.kill()
        board.console.close()
