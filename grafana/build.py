"""The dashboards, as files.

    python -m grafana.build            # writes grafana/dashboards/
    python -m grafana.build --check    # exits 1 if a committed file is stale

Every panel says what it shows. Limits come from the protocol file; none is written here.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Panel

from gateway import generated, protocols
from grafana.pages import boards, chair, gateway, load, review, wall
from grafana.rules import faults

DASHBOARDS = Path(__file__).parent / "dashboards"
PROTOCOL = "iv-ketamine"
"""Whose limits are drawn."""
PAGES = (wall, chair, review, load, boards, gateway)


def rendered() -> dict[Path, str]:
    """Each generated file with its text. Raises ValueError, naming dashboard and panel, where one breaks a rule."""
    protocol = protocols.load_all()[PROTOCOL]
    files: dict[Path, str] = {}
    for made in PAGES:
        board = made.build(protocol).build()
        for number, panel in enumerate(board.panels or [], start=1):
            if isinstance(panel, Panel):
                panel.id_val = number
        text = json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        if broken := faults(json.loads(text)):
            raise ValueError("; ".join(broken))
        files[DASHBOARDS / f"{board.uid}.json"] = text + "\n"
    return files


if __name__ == "__main__":
    sys.exit(generated.settle(rendered(), "grafana.build"))
