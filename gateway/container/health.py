"""Is the gateway alive? Ends with 0 if its heartbeat comes over the broker, with 1 and the reason if not.

python -m gateway.container.health --config /etc/chairside/gateway.toml
"""

import typer

from gateway.doctor import broker
from gateway.refusals import ConfigFile, fail, loaded_from


def main(config: ConfigFile) -> None:
    bad = [one for one in broker(loaded_from(config)) if one.part in ("broker", "gateway") and one.state == "bad"]
    if bad:
        fail(f"{bad[0].part}: {bad[0].found}")


if __name__ == "__main__":
    typer.run(main)
