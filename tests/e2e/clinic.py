"""A small clinic for the wall: the real gateway and the real web process, and boards that say what they are told to."""

import itertools
import threading
from pathlib import Path

from gateway_process import Board, Client, Gateway
from servers import Mosquitto, wait_until
from web_process import Web

from gateway.wire import Action, Cuff, Do, Done, Event, Heartbeat, State, chair_topic, device_topic, gateway_topic

CHAIRS = {f"bay-{n}": f"cb-{n:06d}" for n in range(1, 6)}
SPARE = "cb-000009"
MORE = """
[staff]
MK = "nurse"
JB = "physician"
"""


class Clinic:
    """Use as a context manager. Every board sends good vitals each second, except those in `silent`."""

    def __init__(self, folder: Path, broker: Mosquitto, site: str) -> None:
        self.site = site
        self.gateway = Gateway(folder / "gateway", broker.url, site, CHAIRS, MORE)
        config = self.gateway.config
        config.write_text(config.read_text().replace("[mqtt]", f'spares = ["{SPARE}"]\n[mqtt]'))
        self.web = Web(folder, broker.url, site, tuple(CHAIRS))
        self.client = Client(broker.port, chair_topic(site, "+", "#"), gateway_topic(site))
        self.boards = {device: Board(self.client, device) for device in (*CHAIRS.values(), SPARE)}
        self.silent: set[str] = {SPARE}
        self._ids = itertools.count(1)
        self._speaking = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._each_second)

    def __enter__(self) -> "Clinic":
        self.gateway.start()
        self.web.start()
        self.client.__enter__()
        self.client.next(gateway_topic(self.site), Heartbeat, lambda beat: beat.online, "the gateway")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.web.stop()
        self.gateway.stop()
        topics = [chair_topic(self.site, chair, "state") for chair in CHAIRS]
        self.client.clear([*topics, gateway_topic(self.site), *(device_topic(b, "annunciate") for b in self.boards)])
        self.client.__exit__()

    def state(self, chair: str) -> State:
        """What the gateway said last."""
        topic = chair_topic(self.site, chair, "state")
        return wait_until(lambda: self.client.all(topic, State)[-1:], f"a state of {chair}")[0]

    def does(self, chair: str, action: Action) -> None:
        """A nurse at another screen, who is obeyed."""
        do = Do(id=f"elsewhere-{next(self._ids)}", session=self.state(chair).session, who="MK", action=action)
        self.client.say(chair_topic(self.site, chair, "do"), do)
        done = self.client.next(chair_topic(self.site, chair, "done"), Done, lambda done: done.id == do.id, "done")
        assert done.ok, done.reason

    def measures(self, chair: str, sys_mmhg: float, dia_mmhg: float) -> None:
        """The cuff of a chair has measured."""
        mean_mmhg = dia_mmhg + (sys_mmhg - dia_mmhg) / 3
        numbers = {"sys_mmhg": sys_mmhg, "dia_mmhg": dia_mmhg, "map_mmhg": mean_mmhg}
        self._record(chair, Cuff, quality="good", trigger="command", **numbers)

    def calls(self, chair: str) -> None:
        """The patient presses the button."""
        self._record(chair, Event, kind="button", name="call")

    def _record(self, chair: str, record: type[Cuff] | type[Event], **given: object) -> None:
        board = self.boards[self.state(chair).device]
        with self._speaking:
            board.seq += 1
            made = {"boot": board.boot, "seq": board.seq, "base": 1, "up_ms": board.up_ms(), **given}
            leaf = "cuff" if record is Cuff else "event"
            self.client.say(device_topic(board.device, leaf), record(**made))  # type: ignore[arg-type]

    def _each_second(self) -> None:
        while not self._ended.wait(1.0):
            for device, board in self.boards.items():
                if device not in self.silent:
                    with self._speaking:
                        board.vitals()
