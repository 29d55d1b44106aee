"""The correlate role as a process of its own, from the environment."""

import sys

from stepwatch.agents.correlate import main
from stepwatch.agents.settings import Settings

if __name__ == "__main__":
    sys.exit(main(Settings()))
