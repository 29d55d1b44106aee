"""Where the console command begins: an interrupt while Python still imports ends it as any other does."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Import the commands, and run the one that was asked for."""
    try:
        from stepwatch.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
