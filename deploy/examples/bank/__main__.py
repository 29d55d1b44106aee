"""`python -m deploy.examples.bank`: the bank, and Stepwatch on this machine beside it, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from stepwatch.agents.errors import EXIT_INTERRUPTED
from stepwatch.agents.settings import Settings
from stepwatch.cli.errors import exit_of
from stepwatch.cli.screen import say
from stepwatch.cli.stack import Stack
from stepwatch.cli.target import connect, data_folder, read_settings
from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.sdk.otp import FernetSecrets

from .api import HERE, new_app
from .following import following
from .outcomes import Outcomes
from .stepwatch_wiring import Stepwatch, open_reporter

USUAL_PORT = 8400
FOLDER = "bank"
"""Below the data folder: the example never mixes with what `stepwatch up` keeps there."""
_SHUTDOWN_S = 3


class Server(uvicorn.Server):
    """One that a signal ends, and nothing more: uvicorn's own raises it again, in the middle of what is to end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as the wish to end, however often they come."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer what was asked, then end."""
        self.should_exit = True


def main() -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit status: 130, or that of what could not be had."""
    asked = _arguments()
    # As Ctrl-C: one way out, whoever asks for it and whatever is being done.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        base = read_settings()
        folder = DataFolder(asked.data if asked.data else data_folder(None, base).path / FOLDER)
        with _stepwatch_beside(folder, base) as settings:
            port = ports.choose(folder, "bank_web", USUAL_PORT, wanted=asked.port)
            _serve(settings, port, folder)
    except KeyboardInterrupt:
        pass
    except Exception as error:
        if (found := exit_of(error)) is None:
            raise
        say(found[1])
        return found[0]
    return EXIT_INTERRUPTED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.examples.bank", description=__doc__)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data folder, kept; the Stepwatch that runs there is used"
    )
    parser.add_argument("--port", type=_port, help=f"of the page; without it {USUAL_PORT}, or the next free one")
    return parser.parse_args()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 65535, got {text!r}")
    return int(text)


@contextmanager
def _stepwatch_beside(folder: DataFolder, base: Settings) -> Iterator[Settings]:
    """The servers and roles of a data folder: those that run there already, or else our own."""
    if folder.is_owned():
        yield connect(folder.path)
        return
    stack = Stack(folder.path, policies=HERE / "policies", apply_now=True, base=base)
    say("starting Kafka, ClickHouse and the roles ...")
    try:
        stack.start()
        for words in stack.wait_ready():
            say(f"not ready yet: {words}")
        yield stack.settings
    finally:
        say("stopping ...")
        stack.stop()


def _serve(settings: Settings, port: int, folder: DataFolder) -> None:
    """Serve the page until a signal comes."""
    outcomes = Outcomes()

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with following(settings, outcomes):
            print(
                f"the bank is open: http://{ports.HOST}:{port}/    (data and logs: {folder.path}; Ctrl-C closes it)",
                flush=True,
            )
            yield

    with (
        open_reporter(settings.kafka_bootstrap, prefix=settings.prefix) as reporter,
        # The people of a former run had their secrets on a page that is gone.
        tempfile.TemporaryDirectory(prefix="bank-") as own,
    ):
        reporter.start()
        stepwatch = Stepwatch(reporter, Path(own) / "otp.db", FernetSecrets.new_key())
        config = uvicorn.Config(
            new_app(stepwatch, outcomes, lifespan),
            host=ports.HOST,
            port=port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        Server(config).run()


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
