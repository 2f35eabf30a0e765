"""kill -9 of a process that journals as fast as it can."""

import subprocess
import sys

from gateway.journal_reader import JournalReader
from gateway.journal_recovery import open_journal

WRITER = """
import itertools, sys, threading
from pathlib import Path
from gateway.core.outputs import Row, Snapshot
from gateway.journal import Journal

first = int(sys.argv[2])
def committed():
    done = journal.take()
    if done.records:
        print(done.records[-1].seq, flush=True)

journal = Journal(Path(sys.argv[1]), 10**9, committed)
journal.open()
journal.start()
for seq in itertools.count(first):
    journal.put([
        Row(measurement="vitals", at_ms=seq, device="cb-1", chair="bay-1", fields={"seq": float(seq)},
            boot="00112233445566aa", seq=seq, urgent=seq % 7 == 0),
        Snapshot(key="last", body=str(seq).encode()),
    ])
    threading.Event().wait(0.001)
"""


def test_what_was_reported_durable_survives_kill_9(tmp_path):
    """Killed at some moment, five times: no hole below what was reported, each row once, the snapshot no older."""
    path, reported = tmp_path / "journal.db", 0
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(reported + 1)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(3 + 5 * life):
            reported = int(process.stdout.readline())
        process.kill()
        # What it could still say before it died counts as well.
        reported = max([reported, *map(int, process.stdout.read().split())])
        process.wait()
        with JournalReader(path) as reader:
            stored = [row.seq for row in reader.rows("vitals", "bay-1", 0, 10**6)]
        assert stored == list(range(1, stored[-1] + 1))
        assert stored[-1] >= reported
        reported = stored[-1]
        connection, recovered = open_journal(path, 0)
        connection.close()
        assert recovered.have == {"cb-1": {"00112233445566aa": [(1, stored[-1])]}}
        assert int(recovered.snapshots["last"]) == stored[-1]
        assert not recovered.set_aside
