"""The store role as a process of its own, from the environment."""

import sys

from stepwatch.agents.settings import Settings
from stepwatch.agents.store import main

if __name__ == "__main__":
    sys.exit(main(Settings()))
