"""An observer of a gateway that is killed again and again. It sees only what is on the wire and keeps its own books.

What a board said is the truth about its patient; what a gateway said before it died binds the next one. `wrong` lists
every broken promise in words.
"""

from collections import deque
from dataclasses import dataclass, field

import msgspec

from gateway import wire

LOW_PCT, VERY_LOW_PCT = 90.0, 85.0
DELAY_MS = 10_000
"""Of `spo2_low`: under 90 % after ten seconds, under 85 % at once."""
MARGIN_MS = 1_000
"""Two clocks and a tick lie between a board's second and the state that tells of it."""
PAUSE_S = 120.0
PATIENT = ("spo2_low", "sys_high")
"""Rules whose truth is known: what the boards say of a saturation, and a pressure that stays high. Others end as boards
are heard again."""
RANK = {"none": 0, "low": 1, "medium": 2, "high": 3}


@dataclass
class Told:
    """What was said of one alarm: by the gateway that lives, or by one before it."""

    chair: str
    session: str
    rule: str
    level: str = "none"
    shown: bool = False
    latched: bool = False
    over: bool = False
    acknowledged: bool = False
    """By an action that was answered."""
    may_end: bool = False
    """Somebody asked to acknowledge it: a latched one may be over."""
    paused_s: float | None = None
    """When the answer to a pause came."""


@dataclass
class Spell:
    """Consecutive seconds of a low saturation, as the board said them."""

    first_seq: int
    first_ms: int
    over: bool = False
    acked: bool | None = None
    """Was its first reading acknowledged before the gateway that read it died? Nobody knows yet."""
    raised_after_ms: int | None = None
    ids: dict[str, set[str]] = field(default_factory=dict)
    """By session, what the gateways called it."""


@dataclass
class Bed:
    """A chair with its board."""

    readings: dict[int, tuple[float, int]] = field(default_factory=dict)
    """seq: saturation, and the board's own time of the sensor."""
    spells: list[Spell] = field(default_factory=list)
    acked: set[int] = field(default_factory=set)
    session: str = ""
    session_seq: int = 0
    """Readings above this are surely of the session."""
    owed: str = ""
    """The session that a `done` promised."""
    ended: set[str] = field(default_factory=set)
    """Sessions that somebody asked to end."""
    heard_of: int = 0
    """The last reading before the last kill: a state that shows a later one is of a gateway that has judged it."""


class Observer:
    """Feed it every message in order, and `killed` at each kill."""

    def __init__(self, chair_of: dict[str, str]) -> None:
        self.chair_of = chair_of
        self.beds = {chair: Bed() for chair in chair_of.values()}
        self.alarms: dict[str, Told] = {}
        self.asked: dict[str, tuple[str, wire.Do]] = {}
        self.answers: dict[str, wire.Done] = {}
        self.meant: dict[str, dict[str, str]] = {}
        """By who: the alarms that an acknowledgement or a pause changed, and how grave they were."""
        self.wrong: list[str] = []
        self.run = ""
        self.beat_s: dict[str, float] = {}
        """By run: when its first heartbeat came."""
        self.states = 0
        self.heard: deque[str] = deque(maxlen=1_000)

    def killed(self) -> None:
        self.run = ""
        for bed in self.beds.values():
            bed.heard_of = max(bed.readings, default=0)
            if bed.spells and bed.spells[-1].acked is None:
                bed.spells[-1].acked = False

    def took(self, topic: str, payload: bytes, retained: bool, now_s: float) -> None:
        parts = topic.split("/")
        self.heard.append(f"{now_s:.3f} {topic} {payload[:400].decode()}")
        if retained or not payload:
            return
        leaf = parts[-1]
        if leaf == "gateway":
            beat = msgspec.json.decode(payload, type=wire.Heartbeat)
            if beat.online and beat.run not in self.beat_s:
                self.run = beat.run
                self.beat_s[beat.run] = now_s
        elif leaf == "vitals":
            self._vitals(self.chair_of[parts[-2]], msgspec.json.decode(payload, type=wire.Vitals))
        elif leaf == "ack":
            self._ack(self.beds[self.chair_of[parts[-2]]], msgspec.json.decode(payload, type=wire.Ack))
        elif leaf == "do":
            do = msgspec.json.decode(payload, type=wire.Do)
            self.asked[do.id] = (parts[-2], do)
            if isinstance(do.action, wire.Abort):
                self.beds[parts[-2]].ended.add(do.session)
            for told in self.alarms.values():
                told.may_end |= isinstance(do.action, wire.Acknowledge) and told.chair == parts[-2]
        elif leaf == "done":
            self._done(parts[-2], msgspec.json.decode(payload, type=wire.Done), now_s)
        elif leaf == "alarm":
            self._alarm(msgspec.json.decode(payload, type=wire.AlarmTransition))
        elif leaf == "state":
            self._state(msgspec.json.decode(payload, type=wire.State), now_s)

    # ---- boards ---------------------------------------------------------------------------------------------

    def _vitals(self, chair: str, vitals: wire.Vitals) -> None:
        if vitals.late:
            return
        bed = self.beds[chair]
        at_ms = vitals.up_ms - vitals.age_ms
        assert isinstance(vitals.spo2_pct, float)
        bed.readings[vitals.seq] = (vitals.spo2_pct, at_ms)
        low = vitals.spo2_pct < LOW_PCT
        if bed.spells and not bed.spells[-1].over:
            bed.spells[-1].over = not low
        elif low:
            bed.spells.append(Spell(vitals.seq, at_ms))

    def _ack(self, bed: Bed, ack: wire.Ack) -> None:
        bed.acked |= set(range(max(bed.acked, default=0) + 1, ack.upto + 1))
        for first, last in ack.have:
            bed.acked |= set(range(first, last + 1))
        if bed.spells and bed.spells[-1].acked is None and bed.spells[-1].first_seq in bed.acked:
            bed.spells[-1].acked = True

    # ---- people ---------------------------------------------------------------------------------------------

    def _done(self, chair: str, done: wire.Done, now_s: float) -> None:
        _, do = self.asked[done.id]
        before = self.answers.setdefault(done.id, done)
        self._must((before.ok, before.session, before.reason) == (done.ok, done.session, done.reason),
                   f"{chair}: {do.action} was answered {before}, then {done}")  # fmt: skip
        if before is not done or not done.ok:
            return
        bed = self.beds[chair]
        if isinstance(do.action, wire.Start):
            bed.owed = done.session
        elif isinstance(do.action, wire.Abort):
            bed.owed = ""
        # What rose before the answer came sounds again.
        meant = [self.alarms[name] for name, level in self.meant.get(do.who, {}).items()
                 if self.alarms[name].level == level]  # fmt: skip
        for told in meant:
            told.acknowledged |= isinstance(do.action, wire.Acknowledge)
            if isinstance(do.action, wire.PauseAudio):
                told.paused_s = now_s

    # ---- the gateway ------------------------------------------------------------------------------------------

    def _alarm(self, change: wire.AlarmTransition) -> None:
        told = self.alarms.setdefault(change.id, Told(change.chair, change.session, change.rule))
        if change.what in ("acknowledged", "paused"):
            self.meant.setdefault(str(change.who), {})[change.id] = change.level
        self._must(not (told.acknowledged and change.what in ("raised", "sounding")),
                   f"{change.chair}: {change.id} was acknowledged and is {change.what} again")  # fmt: skip
        if change.what == "raised":
            self._named(change.chair, change.session, change.rule, change.id)
        self._level(told, change.level)
        told.over = change.to_condition in ("normal", "pending")
        told.shown = not told.over
        told.latched = change.to_condition == "latched"

    def _level(self, told: Told, level: str) -> None:
        if RANK[level] > RANK[told.level]:
            told.acknowledged, told.paused_s = False, None
        told.level = level

    def _named(self, chair: str, session: str, rule: str, name: str) -> None:
        """One low spell has one name, whoever gave it."""
        if rule != "spo2_low":
            return
        spell = self._spell(self.beds[chair], int(name.rsplit("-", 1)[1]))
        if spell is None:
            self.wrong.append(f"{chair}: {name} was raised and the board never said so")
            return
        names = spell.ids.setdefault(session, set())
        names.add(name)
        self._must(len(names) == 1, f"{chair}: one spell is {sorted(names)}")

    def _spell(self, bed: Bed, seq: int) -> Spell | None:
        return next((spell for spell in reversed(bed.spells) if spell.first_seq <= seq), None)

    def _state(self, state: wire.State, now_s: float) -> None:
        self.states += 1
        bed = self.beds[state.chair]
        if state.session != bed.session:
            bed.session, bed.session_seq = state.session, max(bed.readings, default=0)
        self._must(not bed.owed or bed.owed in (state.session, *bed.ended),
                   f"{state.chair}: session {bed.owed} was begun and {state.session or 'none'} is shown")  # fmt: skip
        views = {view.id: view for view in state.alarms}
        for name, view in views.items():
            told = self.alarms.setdefault(name, Told(state.chair, state.session, view.rule))
            self._named(state.chair, state.session, view.rule, name)
            self._level(told, view.level)
            told.shown, told.over, told.latched = True, False, view.condition == "latched"
            acknowledged = isinstance(view.acknowledged_by, str)
            self._must(acknowledged or told.latched or not told.acknowledged,
                       f"{state.chair}: the acknowledgement of {name} is lost")  # fmt: skip
            left_s = view.silenced_s if isinstance(view.silenced_s, float) else 0.0
            if told.paused_s is not None and not acknowledged and now_s - told.paused_s < PAUSE_S - MARGIN_MS / 1000:
                self._must(told.latched or left_s > 0, f"{state.chair}: the pause of {name} is lost")
            self._must(left_s <= PAUSE_S, f"{state.chair}: the pause of {name} grew")
        for name, told in self.alarms.items():
            if told.chair == state.chair and told.shown and name not in views:
                ended = told.session in bed.ended or told.session != state.session
                followed = told.latched and any(view.rule == told.rule for view in state.alarms)
                self._must(ended or followed or self._may_be_over(bed, told), f"{state.chair}: {name} is gone")
                told.shown = False
        if isinstance(state.vitals, wire.VitalsView) and state.vitals.seq > bed.heard_of:
            self._truth(bed, state)

    def _may_be_over(self, bed: Bed, told: Told) -> bool:
        """Has the patient recovered since, or somebody asked to acknowledge what latched?"""
        if told.latched:
            return told.may_end
        if told.rule not in PATIENT:
            return True
        return told.rule == "spo2_low" and bed.readings[max(bed.readings)][0] >= LOW_PCT

    def _truth(self, bed: Bed, state: wire.State) -> None:
        """A state that shows a low saturation shows its alarm: at once, or after its delay."""
        vitals = state.vitals
        if not state.session or not isinstance(vitals, wire.VitalsView) or vitals.seq not in bed.readings:
            return
        spo2_pct, at_ms = bed.readings[vitals.seq]
        spell = self._spell(bed, vitals.seq)
        if spo2_pct >= LOW_PCT or spell is None or spell.first_seq <= bed.session_seq:
            return
        present = any(view.rule == "spo2_low" and view.condition != "latched" for view in state.alarms)
        if spo2_pct < VERY_LOW_PCT:
            self._must(present, f"{state.chair}: {spo2_pct} % is shown without its alarm")
        late_ms = at_ms + vitals.age_ms - spell.first_ms - DELAY_MS
        if present and spell.raised_after_ms is None:
            spell.raised_after_ms = max(0, late_ms)
        if spell.acked and late_ms > MARGIN_MS:
            self._must(present, f"{state.chair}: under 90 % since {late_ms + DELAY_MS} ms without an alarm")

    def _must(self, holds: bool, else_wrong: str) -> None:
        if not holds and else_wrong not in self.wrong:
            self.wrong.append(else_wrong)

    def last_of(self, chair: str) -> str:
        """What was last heard of a chair, for whoever reads a failure."""
        board = next(board for board, name in self.chair_of.items() if name == chair)
        lines = [heard for heard in self.heard if board in heard or chair in heard or "/gateway " in heard]
        return "\n".join(lines[-60:])
