"""A gateway whose disk takes nothing more: a real process, refused by the kernel."""

import resource
from uuid import uuid4

from gateway_process import Board, Client, Gateway
from servers import wait_until

from gateway import wire
from gateway.journal_reader import JournalReader


def test_alarms_and_actions_outlast_a_disk_that_refuses(mosquitto, tmp_path):
    """No file may grow: alarms are raised and shown, actions take effect, the beat says that the journal fails and for
    how long, and neither `done` nor an ack is said. When there is room again all of it is, and the journal has it."""
    site, device = f"s{uuid4().hex[:8]}", f"cb-{uuid4().hex[:6]}"
    gateway = Gateway(tmp_path / "gateway", mosquitto.url, site, {"bay-1": device})
    leaves = ("state", "alarm", "done")
    state, alarm, done = (wire.chair_topic(site, "bay-1", leaf) for leaf in leaves)
    beat, ack = wire.gateway_topic(site), wire.device_topic(device, "ack")
    gateway.start()
    try:
        with Client(mosquitto.port, state, alarm, done, beat, ack) as client:
            board = Board(client, device)
            does = lambda do: client.say(wire.chair_topic(site, "bay-1", "do"), do)  # noqa: E731
            client.next(beat, wire.Heartbeat, lambda b: b.online and b.journal == "ok", "the gateway")
            board.vitals()
            client.next(state, wire.State, lambda s: s.online, "the board")
            does(wire.Do(id="start-0001", session="", who="Ann", action=wire.Start(protocol="demo", alias="Fox")))
            session = client.next(done, wire.Done, lambda d: d.id == "start-0001", "the session").session
            client.next(ack, wire.Ack, lambda a: a.upto == board.seq, "the ack")
            before = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

            low = board.vitals(spo2_pct=82.0)
            client.next(alarm, wire.AlarmTransition, lambda t: t.what == "raised", "the alarm")
            client.next(
                beat, wire.Heartbeat, lambda b: b.journal == "failed" and b.journal_s > 0, "the failing journal"
            )
            seen = wire.Do(id="seen-0001", session=session, who="Bob", action=wire.Acknowledge())
            does(seen)
            client.next(state, wire.State, lambda s: s.alarms and s.alarms[0].acknowledged_by == "Bob", "its effect")
            board.vitals(spo2_pct=82.0)
            failing = client.next(beat, wire.Heartbeat, lambda b: b.journal_s > 1.5, "a second of it")
            assert not failing.journal_ok
            assert not [d for d in client.all(done, wire.Done) if d.id == seen.id]
            assert max(a.upto for a in client.all(ack, wire.Ack)) == low.seq - 1

            resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, before)
            assert client.next(done, wire.Done, lambda d: d.id == seen.id, "the answer").ok
            client.next(ack, wire.Ack, lambda a: a.upto == board.seq, "the ack of all")
            wait_until(lambda: client.all(beat, wire.Heartbeat)[-1].journal == "ok", "the journal that is well")
        with JournalReader(gateway.journal) as reader:
            what = [(row.fields["what"], row.fields.get("who")) for row in reader.rows("alarm", "bay-1", 0)]
            assert {("raised", None), ("acknowledged", "Bob")} <= set(what)
            assert len(what) == len(set(what))
            assert [row.seq for row in reader.rows("vitals", "bay-1", 0)] == list(range(1, board.seq + 1))
            assert reader.broken_audit() is None
    finally:
        gateway.stop()
