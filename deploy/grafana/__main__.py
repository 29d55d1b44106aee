"""`python -m deploy.grafana`: write the dashboards anew, after a change of their source or of the query book."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.analysts import analysts
from deploy.grafana.operators import operators

FOLDER = Path(__file__).with_name("dashboards")


def texts() -> dict[str, str]:
    """Each dashboard's file by name."""
    return {
        f"{one['uid']}.json": json.dumps(one, indent=1, ensure_ascii=False) + "\n" for one in (operators(), analysts())
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote {FOLDER / name}")
