"""The role `store` with less patience than it ships with, and no other change: what takes minutes takes seconds.

python -m tests.faults.hasty SILENT ANSWER      s until silence is spoken of; s that the first answer may take
"""

from __future__ import annotations

import sys

from stepwatch.agents import insisting, store
from stepwatch.agents.settings import Settings


def main() -> int:
    """Run the role."""
    insisting.SILENT_S = float(sys.argv[1])
    insisting.ANSWER_TIMEOUT_S = int(sys.argv[2])
    return store.main(Settings())


if __name__ == "__main__":
    sys.exit(main())
