"""What boards and screens are told of each chair, and when it is due again."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gateway import wire
from gateway.core import chair, device, ranges, site, views
from gateway.core.chair_state import ChairState, Ordered
from gateway.core.device import Device
from gateway.core.outputs import Publish
from gateway.core.protocol import Protocol
from gateway.core.site import Carried

SECOND_MS = 1_000
STATE_MS_MEAN = 900
STATE_AHEAD_MS_MAX = 2_700
"""Vitals come each second, and after a stall of the radio two or three at once: each is shown when it comes, and of
a flood one in 0.9 s."""
STATE_MS_MAX = 1_500
SNAPSHOT_MS = 2_000
COMMAND_VALID_MS = 5_000
ALARMS_MANY = 8
"""Up to so many a state fits its bound whatever else it says."""


class Due(Struct):
    """When each chair was last told and kept."""

    state_mono_ms: int = 0
    vitals_mono_ms: int = 0
    """Up to when the states that vitals caused have used their share of one in STATE_MS_MEAN."""
    annunciate_mono_ms: int = 0
    beat: int = 0
    ack_mono_ms: int = 0
    snapshot_mono_ms: int = 0


class Teller:
    """Makes the publications about a chair and remembers when each was made."""

    def __init__(
        self, site: str, run: str, protocols: Mapping[str, Protocol], chairs: Iterable[str], now_ms: int
    ) -> None:
        self._site, self._run, self._protocols = site, run, protocols
        self.group: Carried | None = None
        """The alarm of the site that sounds for some chairs."""
        names = list(chairs)
        # Spread, so that no tick has to write all chairs down.
        self.due = {
            name: Due(snapshot_mono_ms=now_ms - SNAPSHOT_MS + SNAPSHOT_MS * number // len(names))
            for number, name in enumerate(names)
        }

    def spread(self, now_ms: int) -> None:
        """After everything was told at once, the next ones are spread over the second: a thousand would hold up what is
        urgent."""
        for number, due in enumerate(self.due.values()):
            ahead_ms = SECOND_MS * number // len(self.due)
            due.annunciate_mono_ms -= ahead_ms
            due.ack_mono_ms = now_ms - ahead_ms

    def may_show_vitals(self, name: str, now_ms: int) -> bool:
        """Is there a state left for live vitals? Takes it."""
        due = self.due[name]
        if due.vitals_mono_ms - now_ms > STATE_AHEAD_MS_MAX - STATE_MS_MEAN:
            return False
        due.vitals_mono_ms = max(due.vitals_mono_ms, now_ms) + STATE_MS_MEAN
        return True

    def annunciate(self, name: str, board: str, state: ChairState, now_ms: int) -> Publish:
        due = self.due[name]
        due.annunciate_mono_ms = now_ms
        # A board takes a beat that does not rise for a repeat, and there may be two in one millisecond.
        due.beat = max(now_ms, due.beat + 1)
        protocol = chair.protocol_of(self._protocols, state)
        message = views.annunciate(protocol, state, run=self._run, beat=due.beat, now_ms=now_ms)
        message = site.to_board(message, name, state, self.group, now_ms)
        return Publish(topic=wire.device_topic(board, "annunciate"), message=message, qos=1, retain=True)

    def state(self, name: str, board: str, state: ChairState, known: Device, now_ms: int) -> Publish:
        self.due[name].state_mono_ms = now_ms
        protocol = chair.protocol_of(self._protocols, state)
        message = views.state(
            protocol, state, known, run=self._run, site=self._site, name=name, board=board, now_ms=now_ms
        )
        message = site.to_screen(message, state, self.group, now_ms)
        if len(message.alarms) > ALARMS_MANY and len(wire.encode(message)) > wire.STATE_BYTES_MAX:
            # A state that is too large is refused by every screen: what is least urgent makes room.
            message = replace(message, entries=[], asks=[], scores=[])
        return Publish(topic=wire.chair_topic(self._site, name, "state"), message=message, retain=True)

    def ack(self, name: str, board: str, known: Device, now_ms: int) -> list[Publish]:
        self.due[name].ack_mono_ms = now_ms
        return self.acked(board, known, now_ms)

    def acked(self, board: str, known: Device, now_ms: int) -> list[Publish]:
        if not known.online(now_ms) or not known.boot:
            return []
        return [self._ack(board, known, known.boot, known.base)]

    def acked_before(self, board: str, known: Device, record: wire.Record) -> list[Publish]:
        """What a board carried along from a boot before the one that speaks is acknowledged only as an answer, when a
        record of it comes again that is durable."""
        durable = ranges.contains(known.durable.get(record.boot, ()), record.seq)
        return [self._ack(board, known, record.boot, record.base)] if durable and record.boot != known.boot else []

    def _ack(self, board: str, known: Device, boot: str, base: int) -> Publish:
        upto, have = ranges.covered(known.durable.get(boot, ()), base, device.HAVE_MAX)
        message = wire.Ack(boot=boot, run=self._run, upto=upto, have=list(have))
        return Publish(topic=wire.device_topic(board, "ack"), message=message)

    def due_again(self, name: str, board: str, state: ChairState, known: Device, now_ms: int) -> list[Publish]:
        due = self.due[name]
        told: list[Publish] = []
        if now_ms - due.annunciate_mono_ms >= SECOND_MS:
            told.append(self.annunciate(name, board, state, now_ms))
        if now_ms - due.ack_mono_ms >= SECOND_MS:
            told += self.ack(name, board, known, now_ms)
        if now_ms - due.state_mono_ms >= STATE_MS_MAX:
            told.append(self.state(name, board, state, known, now_ms))
        return told


def command(board: str, order: Ordered, known: Device, now_ms: int) -> list[Publish]:
    """A command that is only good for seconds of the board's own clock: it cannot move a pump later."""
    if known.time_map is None or not known.online(now_ms):
        return []
    cmd = wire.Cmd(
        id=order.id,
        kind=order.kind,
        session=order.session,
        boot=known.time_map.boot,
        valid_until_up_ms=max(0, now_ms - known.time_map.offset_mono_ms) + COMMAND_VALID_MS,
    )
    return [Publish(topic=wire.device_topic(board, "cmd"), message=cmd, qos=1)]
