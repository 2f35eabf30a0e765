"""A run as files: every vitals record with the patient's true values beside it (CSV), and the event log."""

from __future__ import annotations

import csv
from pathlib import Path

from simulators.clinic.log import Log

COLUMNS = (
    "at_ms", "seq", "late", "age_ms", "quality", "spo2_pct", "pulse_bpm", "pi_pct", "cuff", "cuff_mmhg",
    "true_spo2_pct", "true_pulse_bpm", "true_sys_mmhg", "true_dia_mmhg", "finger", "true_cuff_mmhg",
)  # fmt: skip


def write(log: Log, folder: Path, name: str) -> tuple[Path, Path]:
    """`<name>.csv` and `<name>.jsonl` in `folder`. A value that was not measured is an empty cell."""
    folder.mkdir(parents=True, exist_ok=True)
    table, events = folder / f"{name}.csv", folder / f"{name}.jsonl"
    events.write_bytes(log.text())
    truth: dict[str, object] = {}
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for entry in log.of("truth", "vitals"):
            if entry["kind"] == "truth":
                truth = {f"true_{key}": value for key, value in entry.items()} | {"finger": int(entry["finger"])}
            else:
                writer.writerow(truth | entry)
    return table, events
