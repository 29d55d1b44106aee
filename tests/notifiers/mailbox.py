"""A small SMTP server on loopback that keeps the letters it is given."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox:
    """What came, and how the server answers a letter.

    Attributes:
        letters: (sender and recipients as the envelope has them, the letter), in order.
        answer: to a letter.
        hangs: nothing is said at all, not even a greeting, until `over`.
    """

    def __init__(self, answer: bytes, hangs: bool) -> None:
        self.letters: list[tuple[list[str], EmailMessage]] = []
        self.answer = answer
        self.hangs = hangs
        self.over = threading.Event()
        self.port = 0


class _Handler(socketserver.StreamRequestHandler):
    mailbox: Mailbox

    def handle(self) -> None:
        if self.mailbox.hangs:
            self.mailbox.over.wait(60)
            return
        self._say(b"220 mailbox")
        envelope: list[str] = []
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            if verb in ("MAIL", "RCPT"):
                envelope.append(line.partition("<")[2].partition(">")[0])
                self._say(b"250 ok")
            elif verb == "DATA":
                self._say(b"354 go on")
                self._take(envelope)
            elif verb == "QUIT":
                self._say(b"221 bye")
                return
            else:
                self._say(b"250 mailbox")

    def _take(self, envelope: list[str]) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        letter = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(letter, EmailMessage)
        if self.mailbox.answer.startswith(b"2"):
            self.mailbox.letters.append((envelope, letter))
        self._say(self.mailbox.answer)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def mailbox(answer: bytes = b"250 taken", *, hangs: bool = False) -> Iterator[Mailbox]:
    """A running server that gives this answer to each letter."""
    box = Mailbox(answer, hangs)
    handler = type("Handler", (_Handler,), {"mailbox": box})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield box
        finally:
            box.over.set()
            server.shutdown()
