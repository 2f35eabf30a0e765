"""Update boards over their broker, and the commands `chairside bench update ...`.

A board holds what it has got in flash, so an upload goes on where it stopped: after a lost link, a restart of the
board or one of this command.
"""

import contextlib
import os
import queue
import secrets
import time
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import paho.mqtt.client as paho
import typer
from paho.mqtt.enums import CallbackAPIVersion
from rich.progress import Progress

from gateway import wire
from gateway.config import MqttConfig
from hardware.bench import bundle as bundles
from hardware.bench.bundle import BundleError
from hardware.bench.upload import TRIES_MAX, UpdateError, Upload

ANSWER_S = 6.0
SEEN_S_MAX = 75.0
"""A board in safe mode speaks once a minute."""
AHEAD_MS = 30_000
CONFIRMED_S_MAX = 420.0
"""The board undoes an update after five minutes without the gateway."""


class Courier:
    """Commands to one board over a broker, one under way at a time, each answered or given up."""

    def __init__(self, mqtt: MqttConfig, device: str) -> None:
        self._topic = f"chairside/v1/dev/{device}/"
        self._arrived: queue.SimpleQueue[tuple[str, bytes, float]] = queue.SimpleQueue()
        self._boot = ""
        self._clock = (0, 0.0)  # the board's up_ms, and when it was that
        self._run = secrets.token_hex(4)
        self._count = 0
        self.events: list[wire.Event] = []
        self.status: wire.Status | None = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
        if mqtt.user:
            self._client.username_pw_set(mqtt.user, mqtt.password)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic + "+", 1)
        self._client.on_message = lambda _, __, message: self._put(message)
        self._client.connect(mqtt.host, mqtt.port, 10)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def boot(self) -> str:
        return self._boot

    def command(self, step: dict[str, Any]) -> str | None:
        """Send one step; the reason why it was refused, "" when it was not, None without an answer."""
        self._count += 1
        up_ms, at_s = self._clock
        command = wire.Cmd(
            id=f"u-{self._run}-{self._count}",
            kind="update",
            session="",
            boot=self._boot,
            valid_until_up_ms=up_ms + round((time.monotonic() - at_s) * 1000) + AHEAD_MS,
            update=msgspec.convert(step, wire.UpdateStep),
        )
        self._client.publish(self._topic + "cmd", msgspec.json.encode(command), 1)
        end_s = time.monotonic() + ANSWER_S
        while (left_s := end_s - time.monotonic()) > 0:
            reply = self.hear(left_s)
            if reply is not None and reply.id == command.id:
                return reply.reason if isinstance(reply.reason, str) else ""
        return None

    def hear(self, within_s: float) -> wire.Reply | None:
        """Take the next message, if one comes; returns it when it is a reply."""
        try:
            leaf, payload, at_s = self._arrived.get(timeout=within_s)
        except queue.Empty:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            if leaf == "reply":
                return msgspec.json.decode(payload, type=wire.Reply)
            if leaf == "status":
                status = msgspec.json.decode(payload, type=wire.Status)
                if status.online and isinstance(status.up_ms, int):
                    self.status = status
                    self._seen(status.boot, status.up_ms, at_s)
            elif leaf == "event":
                event = msgspec.json.decode(payload, type=wire.Event)
                if not event.late:
                    self._seen(event.boot, event.up_ms, at_s)
                self.events.append(event)
            elif leaf == "vitals":
                vitals = msgspec.json.decode(payload, type=wire.Vitals)
                if not vitals.late:
                    self._seen(vitals.boot, vitals.up_ms, at_s)
        return None

    def _seen(self, boot: str, up_ms: int, at_s: float) -> None:
        self._boot = boot
        self._clock = (up_ms, at_s)

    def _put(self, message: paho.MQTTMessage) -> None:
        leaf = message.topic.removeprefix(self._topic)
        if not message.retain and leaf in ("reply", "status", "event", "vitals"):
            self._arrived.put((leaf, bytes(message.payload), time.monotonic()))


def send(courier: Courier, upload: Upload, progress: Progress) -> None:
    """Bring the bundle to the board. Raises UpdateError."""
    task = progress.add_task("waiting for the board", total=1.0)
    _await(courier, lambda: courier.boot != "", SEEN_S_MAX, "the board says nothing: is it on, and is this its broker?")
    unanswered = 0
    boot = courier.boot
    while not upload.done:
        if courier.boot != boot:
            boot = courier.boot
            upload.restart()
        reason = courier.command(upload.step())
        if reason is None or reason in ("boot", "expired"):
            unanswered += 1
            if unanswered > TRIES_MAX:
                raise UpdateError("the board does not answer; send it again, it goes on where it stopped")
            if reason:
                courier.hear(1.0)  # it has restarted, and will say so
            continue
        unanswered = 0
        upload.answered(reason)
        if reason == "restart":
            _await(courier, lambda: courier.boot != boot, SEEN_S_MAX, "the board did not come back")  # noqa: B023
        progress.update(task, completed=upload.sent, description="sending")


def follow(courier: Courier, security: int, within_s: float = CONFIRMED_S_MAX) -> str:
    """Wait for the end of the trial that `send` began; how it ended. Raises UpdateError.

    By the status, which each start tells: the counter has risen, or a later start runs from the slot as before.
    """
    boot, slot = courier.boot, courier.status.slot if courier.status else ""

    def confirmed() -> bool:
        return courier.status is not None and courier.status.security == security

    def undone() -> bool:
        status = courier.status
        return status is not None and status.boot != boot and status.slot == slot

    _await(courier, lambda: confirmed() or undone(), within_s, "the board does not say how its trial ended")
    if undone():
        why = [str(event.detail) for event in courier.events if event.kind == "update" and event.name == "undone"]
        raise UpdateError(f"the board has undone it ({', '.join(why) or 'its next event says why'})")
    return f"It runs from slot {courier.status.slot if courier.status else ''}, confirmed after a healthy minute."


def _await(courier: Courier, condition: Any, within_s: float, otherwise: str) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end_s:
            raise UpdateError(otherwise)
        courier.hear(0.5)


# ---- commands ---------------------------------------------------------------------------------------------

app = typer.Typer(no_args_is_help=True, help="Make, sign and send firmware updates.")
KeyPath = Annotated[Path, typer.Option("--key", help="The private key, PEM; a password in CHAIRSIDE_UPDATE_PASSWORD.")]
KEY = Path("update-key.pem")


def _password() -> bytes | None:
    return os.environ.get("CHAIRSIDE_UPDATE_PASSWORD", "").encode() or None


@app.command("key")
def key_command(
    key: KeyPath = KEY, out: Annotated[Path, typer.Option(help="What boards check with.")] = Path("update.pub")
) -> None:
    """Make the key that signs updates, unless there is one, and write the part of it that boards get.

    Example: chairside bench update key --key update-key.pem --out update.pub
    """
    try:
        if not key.exists():
            pem = bundles.key_pem(bundles.new_key(), _password())
            with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
            typer.echo(f"{key} is new. Who has it can put any program on your boards: keep it offline.")
        out.write_text(bundles.public_part(bundles.read_key(key, _password())), encoding="utf-8")
    except (BundleError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{out}: to be put into the root of each board's flash.")


@app.command("make")
def make_command(
    security: Annotated[int, typer.Option(min=1, help="Counter, higher than that of any update before.")],
    out: Annotated[Path | None, typer.Option(help="The bundle; update-VERSION.zip if not given.")] = None,
    firmware: Annotated[Path, typer.Option(help="Folder of the firmware.")] = Path("firmware"),
) -> None:
    """Bundle the firmware as an update, compiled and still unsigned.

    Example: chairside bench update make --security 2 --out update.zip
    """
    try:
        bundle = bundles.make(firmware, security)
        path = out or Path(f"update-{bundle.entries['version']}.zip")
        bundle.write(path)
    except (BundleError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    size = sum(len(data) for data in bundle.files.values())
    typer.echo(f"{path}: {bundle.entries['version']}, {len(bundle.files)} files, {size} bytes, security {security}.")


@app.command("sign")
def sign_command(bundle: Annotated[Path, typer.Argument(help="What `make` wrote.")], key: KeyPath = KEY) -> None:
    """Sign a bundle; needs no network and no board.

    Example: chairside bench update sign update.zip --key update-key.pem
    """
    try:
        bundles.sign(bundles.read(bundle), bundles.read_key(key, _password())).write(bundle)
    except (BundleError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{bundle} is signed.")


@app.command("send")
def send_command(
    device: Annotated[str, typer.Argument(help="The board, e.g. cb-7f3a21.")],
    bundle: Annotated[Path, typer.Argument(help="A signed bundle.")],
    url: Annotated[
        str, typer.Option(envvar="CHAIRSIDE_MQTT_URL", help="The broker, mqtt://user:password@host:port.")
    ] = "mqtt://127.0.0.1:1883",
) -> None:
    """Send a signed bundle to a board whose chair is free, and wait until it runs. Sent again, it goes on where it
    stopped.

    Example: chairside bench update send cb-7f3a21 update.zip --url mqtt://192.0.2.7:1883
    """
    try:
        content = bundles.read(bundle)
        if not content.signed:
            raise BundleError(f"{bundle}: not signed; run `chairside bench update sign {bundle}`")
        courier = Courier(MqttConfig(url=url), device)
    except (BundleError, OSError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    try:
        with Progress() as progress:
            send(courier, Upload(content), progress)
        typer.echo("The board has it all and restarts; it runs on trial until a minute with the gateway has passed.")
        typer.echo(follow(courier, cast(int, content.entries["security"])))
    except UpdateError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    finally:
        courier.close()
