"""The gateway's decisions between two messages: routes each to its chair, and says what to publish and write.

    message(), tick()  ──▶  Intake (boards), people, time  ──▶  Floor (chairs)  ──▶  publications and journal rows

It does no I/O: the clocks are arguments and the outputs are a list, so that the same engine runs behind a real
broker, in virtual time and in a replay. A batch is ordered: alarm, annunciate, done, state.
"""

import traceback
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, device, permissions, recovery, rows, staff
from gateway.core.chair_state import Staff, Tick
from gateway.core.outputs import Health, Output, Publish, RecordId, Refusal
from gateway.core.protocol import Protocol
from gateway.core.site import USUAL, SiteLimits
from gateway.floor import Floor
from gateway.intake import HEARD, Intake
from gateway.reseating import reseat
from gateway.restoring import Keeper
from gateway.site_alarms import SiteAlarms

SECOND_MS = 1_000
GATEWAY_ROW_MS = 10_000


class Engine:
    """One site: its chairs, their boards, and the protocols they run."""

    def __init__(
        self,
        site: str,
        chairs: Mapping[str, str],
        protocols: Mapping[str, Protocol],
        run: str,
        snapshots: Mapping[str, bytes],
        have: Mapping[str, Mapping[str, list[tuple[int, int]]]],
        *,
        now_ms: int,
        utc_ms: int,
        host_boot: str = "",
        utc_trusted: bool = False,
        site_limits: SiteLimits = USUAL,
        spares: Iterable[str] = (),
        roles: Mapping[str, str] | None = None,
    ) -> None:
        """`chairs` maps a chair to its board, `spares` are boards that may take such a place, `roles` maps the staff's
        names to what they are (None: the site names nobody). The first protocol's `always` rules are judged without a
        session.
        `snapshots` and `have` (board, boot: durable ranges) are the journal's; a snapshot that cannot be read is left
        out and counted as refused: monitoring begins without it. `host_boot` names this run of the computer, and so the
        monotonic clock of `now_ms`."""
        self.site, self.run, self.protocols, self.roles = site, run, protocols, roles
        self.refused: dict[str, int] = {}
        self.host_boot = host_boot
        self.keep = Keeper(protocols, host_boot, self._count)
        self.keep.utc_trusted = utc_trusted
        self.heartbeat_mono_ms = self.gateway_row_mono_ms = 0
        self.health = Health()
        whole = self.keep.site_from(snapshots.get("site"), now_ms, utc_ms)
        self.whole = SiteAlarms(site, run, site_limits, whole, self.keep)
        self.floor = Floor(
            site, run, protocols, dict(chairs), spares, snapshots, have, self.keep, self._count,
            now_ms=now_ms, utc_ms=utc_ms,
        )  # fmt: skip
        self.chairs, self.devices, self.tell = self.floor.chairs, self.floor.devices, self.floor.tell
        self.tell.group = self.whole.carried
        self.intake = Intake(self.floor)

    # ---- what the shell calls -----------------------------------------------------------------------------

    def subscriptions(self) -> list[tuple[str, int]]:
        boards = [(wire.device_topic("+", leaf), 1 if leaf in ("status", "reply") else 0) for leaf in HEARD]
        deeds = [(wire.chair_topic(self.site, "+", "do"), 1), (wire.gateway_topic(self.site, "do"), 1)]
        return [*boards, *deeds, *((topic, 0) for topic in self.own_topics())]

    def own_topics(self) -> list[str]:
        """What we retain ourselves, subscribed to find and clear what is of chairs and boards that are no longer ours.
        Once that was delivered after a connect, they only echo what we say."""
        return [wire.chair_topic(self.site, "+", "state"), wire.device_topic("+", "annunciate")]

    def will(self) -> Publish:
        message = wire.Heartbeat(run=self.run, online=False)
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    def connected(self, now_ms: int, utc_ms: int) -> list[Output]:
        """Everything retained, again: the broker may have forgotten it."""
        beat = self._heartbeat(now_ms, utc_ms)
        assert isinstance(beat.message, wire.Heartbeat)
        # The record says that another run begins before it says what that run heard.
        outputs: list[Output] = [beat, rows.of_heartbeat(beat.message, self.host_boot, now_ms, utc_ms)]
        for name in self.chairs:
            outputs += self.floor.told(name, now_ms)
        self.tell.spread(now_ms)
        return outputs

    def message(self, topic: str, payload: bytes, retained: bool, now_ms: int, utc_ms: int) -> list[Output]:
        """What a message makes happen. A bad one makes a refusal and changes nothing else."""
        try:
            inside = topic.removeprefix(f"{wire.ROOT}/")
            match inside.split("/") if inside != topic else []:
                case ["dev", board, "annunciate"]:
                    return _foreign(topic, retained and bool(payload) and board not in self.floor.chair_of)
                case ["site", self.site, "chair", name, "state"]:
                    if retained and name in self.chairs:
                        return self._told_before(name, payload, now_ms, utc_ms)
                    return _foreign(topic, retained and bool(payload) and name not in self.chairs)
                case ["dev", board, leaf] if leaf in HEARD:
                    if board not in self.devices:
                        raise wire.Refused("unknown_device", f"{board} has no chair in the configuration")
                    return self.intake.take(board, leaf, payload, retained, now_ms, utc_ms)
                case ["site", self.site, "chair", name, "do"]:
                    if name not in self.chairs:
                        raise wire.Refused("unknown_chair", f"{name} is not in the configuration")
                    do = _deed(payload, retained)
                    return rows.asked(self._from_staff(name, do, now_ms, utc_ms), do, name)
                case ["site", self.site, "gateway", "do"]:
                    do = _deed(payload, retained)
                    answered = self.whole.act(do, self._why_not_here(do), now_ms, utc_ms)
                    return [*self._site_told(now_ms, utc_ms), *rows.asked(answered, do, "")]
            raise wire.Refused("unknown_topic", "not a topic of the contract")
        except wire.Refused as refusal:
            self._count(refusal.kind)
            return [Refusal(topic=topic, kind=refusal.kind, detail=str(refusal))]

    def tick(self, now_ms: int, utc_ms: int, health: Health) -> list[Output]:
        """Time passed: silence, delays, pauses; and what is due each second."""
        outputs: list[Output] = []
        self.keep.utc_trusted = health.utc_trusted
        health = replace(health, unread=self.refused.get("snapshot", 0))
        for name in self.chairs:
            try:
                self.chairs[name] = self.keep.bridged(self.chairs[name], now_ms, utc_ms)
                outputs += self.floor.step(name, Tick(), now_ms, utc_ms)
                outputs += self.floor.due(name, now_ms, utc_ms)
            except Exception:  # noqa: BLE001
                # This chair falls silent, so its board says "alone" and its tile goes stale; the others are watched on.
                self._count("internal")
                outputs.append(Refusal(topic=name, kind="internal", detail=traceback.format_exc(limit=-2)))
        outputs += self._site_tick(health, now_ms, utc_ms)
        if now_ms - self.heartbeat_mono_ms >= SECOND_MS:
            self.heartbeat_mono_ms = now_ms
            self.health = health
            beat = self._heartbeat(now_ms, utc_ms)
            outputs.append(beat)
            if now_ms - self.gateway_row_mono_ms >= GATEWAY_ROW_MS:
                self.gateway_row_mono_ms = now_ms
                assert isinstance(beat.message, wire.Heartbeat)
                outputs.append(rows.of_heartbeat(beat.message, self.host_boot, now_ms, utc_ms))
        return outputs

    def durable(self, records: list[RecordId]) -> None:
        """The journal has these on disk: from now on acks cover them."""
        for record in records:
            if record.device in self.devices:
                self.devices[record.device] = device.stored(self.devices[record.device], record.boot, record.seq)

    # ---- from people --------------------------------------------------------------------------------------

    def _from_staff(self, name: str, do: wire.Do, now_ms: int, utc_ms: int) -> list[Output]:
        asked = Staff(do=do, chair=name, role=None if self.roles is None else self.roles.get(do.who, ""))
        if staff.answer_of(self.chairs[name], do.id) is None:
            if isinstance(do.action, wire.Move | wire.Swap):
                return reseat(self.floor, name, asked, do.action, now_ms, utc_ms)
            board = self.devices[self.floor.board_of[name]]
            if isinstance(do.action, wire.Measure) and not board.online(now_ms):
                return self.floor.refused(name, do, "the board is not connected", now_ms, utc_ms)
        return self.floor.step(name, asked, now_ms, utc_ms)

    # ---- from ourselves -----------------------------------------------------------------------------------

    def _told_before(self, name: str, payload: bytes, now_ms: int, utc_ms: int) -> list[Output]:
        """Our own last word about a chair, or that of the run before."""
        try:
            told = wire.decode(payload, wire.State, wire.STATE_BYTES_MAX)
        except wire.Refused:
            return []  # An older program said it in other words.
        time_map = self.devices[self.floor.board_of[name]].time_map
        if told.run == self.run or time_map is None:
            return []
        rules = chair.protocol_of(self.protocols, self.chairs[name]).rules
        after, decisions = recovery.told_before(self.chairs[name], told, rules, time_map.boot, now_ms)
        self.chairs[name] = after
        return self.floor.carried_out(name, decisions, now_ms, utc_ms) if decisions else []

    def _heartbeat(self, now_ms: int, utc_ms: int) -> Publish:
        since_ms = self.health.journal_since_mono_ms
        message = wire.Heartbeat(
            run=self.run,
            online=True,
            at_ms=utc_ms,
            chairs=len(self.chairs),
            devices_online=sum(self.devices[board].online(now_ms) for board in self.floor.chair_of),
            received=self.intake.received,
            duplicates=self.intake.duplicates,
            gaps=sum(device.missing(board) for board in self.devices.values()),
            refused=dict(self.refused),
            dropped=self.health.dropped,
            queued=self.health.queued,
            sink=self.health.sink,
            sink_lag_s=self.health.sink_lag_s,
            sink_quarantined=self.health.sink_quarantined,
            journal_ok=self.health.journal_ok,
            journal=self.health.journal,
            journal_s=0.0 if since_ms is None else max(0, now_ms - since_ms) / 1000,
            utc_trusted=self.keep.utc_trusted,
            alarms=self.whole.views(now_ms),
        )
        return Publish(topic=wire.gateway_topic(self.site), message=message, qos=1, retain=True)

    # ---- the whole site -----------------------------------------------------------------------------------

    def _site_tick(self, health: Health, now_ms: int, utc_ms: int) -> list[Output]:
        try:
            told = self.whole.tick(self.chairs, health, now_ms, utc_ms)
        except Exception:  # noqa: BLE001 - each chair's own alarm goes on
            self._count("internal")
            return [Refusal(topic="site", kind="internal", detail=traceback.format_exc(limit=-2))]
        return [*told, *self._site_told(now_ms, utc_ms)] if told else []

    def _why_not_here(self, do: wire.Do) -> str:
        role = None if self.roles is None else self.roles.get(do.who, "")
        return permissions.why_not(next(iter(self.protocols.values())), do, role)

    def _site_told(self, now_ms: int, utc_ms: int) -> list[Output]:
        """The heartbeat at once, and chairs that sound by themselves again; the others hear of it with their next."""
        before, self.tell.group = self.tell.group, self.whole.carried
        were, are = (one.members if one is not None else frozenset() for one in (before, self.tell.group))
        outputs: list[Output] = [self._heartbeat(now_ms, utc_ms)]
        for name in self.chairs:
            if name in were and name not in are:
                outputs += self.floor.told(name, now_ms)
        return outputs

    def _count(self, kind: str) -> None:
        self.refused[kind] = self.refused.get(kind, 0) + 1


def _foreign(topic: str, foreign: bool) -> list[Output]:
    return [Publish(topic=topic, message=None, retain=True)] if foreign else []


def _deed(payload: bytes, retained: bool) -> wire.Do:
    if retained:
        raise wire.Refused("retained", "an action must not be retained")
    return wire.decode(payload, wire.Do, wire.STATE_BYTES_MAX)
