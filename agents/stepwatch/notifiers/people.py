"""E-mail and whatever else apprise knows: one message for each step, to people."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor

import apprise

from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Step
from stepwatch.notifiers.fit import fitted
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.sending import file_missing, links_of
from stepwatch.notifiers.words import head_of

DOCUMENTATION = "https://github.com/caronc/apprise/wiki"
DEADLINE_S = 30.0
"""For one message. The library's own limits for connecting and reading are shorter, and end what is left behind."""
TITLE_CHARACTERS_MAX = 200
LINE_CHARACTERS_MAX = 1000
_NOTIFY_TYPES = {
    "critical": apprise.NotifyType.FAILURE,
    "high": apprise.NotifyType.FAILURE,
    "medium": apprise.NotifyType.WARNING,
    "low": apprise.NotifyType.INFO,
}
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)|(?<=<)(?=[@!#])", re.I)
"""What calls a whole room in one chat program or the other."""

# It logs whole addresses of services, which are their passwords.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


class People:
    """One address of apprise: `mailtos://...` and the like."""

    resend_every_s = None

    def __init__(self, name: str, url: Secret, deadline_s: float = DEADLINE_S) -> None:
        """An address.

        Args:
            name: of the channel.
            url: of apprise, with the password in it.
            deadline_s: for one message, s.

        Raises:
            ReceiverWrong: apprise does not know such an address.
        """
        self.name = name
        self._url = url
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix=f"notify-{name}")
        self._waiting = 0
        _open(url)

    async def deliver(self, delivery: Delivery) -> Answer:
        """Send one message, in a thread."""
        if self._waiting >= 2:
            return Answer(Outcome.RETRY, "two messages before it still wait for an answer", unsent=True)
        try:
            service = _open(self._url)
        except ReceiverWrong as error:
            return file_missing(error)
        self._waiting += 1
        sending = asyncio.get_running_loop().run_in_executor(self._threads, _send, service, delivery)
        sending.add_done_callback(self._came_back)
        try:
            taken = await asyncio.wait_for(asyncio.shield(sending), self._deadline_s)
        except TimeoutError:
            return Answer(Outcome.RETRY, f"no answer within {self._deadline_s:g} s")
        except Exception as error:
            # Whatever a plugin of the library raises is its service's failure. Its words may hold the address.
            return Answer(Outcome.RETRY, f"apprise failed: {type(error).__name__}")
        if taken:
            return Answer(Outcome.DELIVERED, "taken")
        return Answer(Outcome.RETRY, "not taken; apprise does not say why: try the address by hand")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _came_back(self, sending: asyncio.Future[bool]) -> None:
        self._waiting -= 1
        if not sending.cancelled():
            # Looked at, so that a failure after the deadline is not reported as one that nobody saw.
            sending.exception()


def build_text(delivery: Delivery) -> tuple[str, str]:
    """Title and body of a message, in lines of plain text."""
    message = delivery.message
    title = f"[Stepwatch] {head_of(delivery.step, message.severity)}: {message.title}"
    lines = [*message.lines, "", *(f"{name}: {value}" for name, value in message.facts)]
    if message.command and delivery.step is not Step.RESOLVE:
        lines += ["", message.command]
    lines += ["", *(f"{name}: {address}" for name, address in links_of(message))]
    return _line(title, TITLE_CHARACTERS_MAX), "\n".join(_line(line, LINE_CHARACTERS_MAX) for line in lines)


def _line(text: str, characters_max: int) -> str:
    return fitted(_CALLS.sub(lambda found: f"{found[0]} ", text[: characters_max + 1]), characters_max)


def _open(url: Secret) -> apprise.Apprise:
    service = apprise.Apprise()
    if not service.add(url.read()):
        raise ReceiverWrong("url_file", f"{url!r} holds no address that apprise knows; see {DOCUMENTATION}")
    return service


def _send(service: apprise.Apprise, delivery: Delivery) -> bool:
    title, body = build_text(delivery)
    over = delivery.step is Step.RESOLVE
    kind = (
        apprise.NotifyType.SUCCESS if over else _NOTIFY_TYPES.get(delivery.message.severity, apprise.NotifyType.FAILURE)
    )
    return bool(service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT))
