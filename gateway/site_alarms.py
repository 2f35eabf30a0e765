"""The site's own alarms between two messages: what to publish and write when one begins, is answered, or ends."""

from collections.abc import Mapping

from gateway import wire
from gateway.core import rows, site, views
from gateway.core.alarms import Alarm, Change
from gateway.core.chair_state import AlarmChanged, ChairState
from gateway.core.outputs import Health, Output, Publish
from gateway.core.protocol import RANK
from gateway.core.site import Carried, SiteLimits, SiteState
from gateway.restoring import Keeper


class SiteAlarms:
    """`state` is the journal's. `health` is that of the last tick."""

    def __init__(self, name: str, run: str, limits: SiteLimits, state: SiteState, keep: Keeper) -> None:
        self._name, self._run, self._limits, self._keep = name, run, limits, keep
        self.state, self.health = state, Health()

    @property
    def carried(self) -> Carried | None:
        return site.carried(self.state)

    def tick(self, chairs: Mapping[str, ChairState], health: Health, now_ms: int, utc_ms: int) -> list[Output]:
        before, self.health = self.state, health
        self.state, changes = site.step(self._limits, before, chairs, health, self._run, now_ms)
        if not changes and before.since_mono_ms == self.state.since_mono_ms:
            return []
        return [*self._told(changes, utc_ms), self._keep.site(self.state, now_ms, utc_ms)]

    def act(self, do: wire.Do, why_not: str, now_ms: int, utc_ms: int) -> list[Output]:
        """What people did, kept before it is answered. `why_not` says that this person may not."""
        self.state, changes, done = site.act(self._limits, self.state, self.health, do, why_not, now_ms)
        topic = wire.gateway_topic(self._name, "done")
        return [
            *self._told(changes, utc_ms),
            self._keep.site(self.state, now_ms, utc_ms),
            Publish(topic=topic, message=done, qos=1, durable=True),
        ]

    def views(self, now_ms: int) -> list[wire.AlarmView]:
        """The gravest first."""
        shown = [
            views.of_alarm(rule, alarm, now_ms, 0)
            for rule in site.rules(self._limits, self.state, self.health)
            if (alarm := self.state.alarms.get(rule.id, Alarm())).shown
        ]
        return sorted(shown, key=lambda view: -RANK[view.level])

    def _told(self, changes: list[Change], utc_ms: int) -> list[Output]:
        topic = wire.gateway_topic(self._name, "alarm")
        told = [
            rows.transition(AlarmChanged(change=change, session=""), self._run, self._name, "", "", utc_ms)
            for change in changes
        ]
        return [
            *(Publish(topic=topic, message=message, qos=1) for message in told),
            *(rows.of_transition(message) for message in told),
        ]
