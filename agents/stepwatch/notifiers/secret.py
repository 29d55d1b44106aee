"""Secrets of channels: read from files only, each time one is needed, and never shown."""

from __future__ import annotations

from pathlib import Path

SECRET_BYTES_MAX = 8192


class ReceiverWrong(ValueError):
    """A channel cannot be used as the routing file has it.

    Attributes:
        field: of the channel that is wrong.
        words: what was expected, what came, what to do; never a secret.
    """

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"{field}: {words}")
        self.field = field
        self.words = words


class Secret:
    """A secret in a file, one line. It is read anew for each delivery, so that a rotated one needs no restart."""

    def __init__(self, field: str, path: Path) -> None:
        """A secret that can be read now.

        Args:
            field: of the channel that names the file, for messages.
            path: of the file.

        Raises:
            ReceiverWrong: there is no such file, or no secret in it.
        """
        self._field = field
        self._path = path
        self.read()

    def __repr__(self) -> str:
        return f"Secret({self._field}={self._path})"

    def read(self) -> str:
        """The secret without the white space around it.

        Raises:
            ReceiverWrong: the file cannot be read, or holds no one line of printable ASCII.
        """
        try:
            with self._path.open("rb") as file:
                text = file.read(SECRET_BYTES_MAX + 1).decode("ascii").strip()
        except OSError as error:
            raise ReceiverWrong(self._field, f"{self._path}: {error.strerror}; put the secret there") from error
        except UnicodeDecodeError:
            text = ""
        if not text or len(text) > SECRET_BYTES_MAX or not text.isprintable():
            what = f"expected one line of printable ASCII, at most {SECRET_BYTES_MAX} bytes"
            raise ReceiverWrong(self._field, f"{self._path}: {what}; nothing else is a secret that we send")
        return text
