"""What can go wrong with the embedded servers, said to the person who started them."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An embedded server cannot be had.

    Attributes:
        code: stable name of the fault.
        retriable: whether the same call may succeed later without anybody changing anything.
        exit_status: what a command that cannot go on should exit with.
    """

    exit_status = 3

    def __init__(self, code: str, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retriable = retriable


class FolderTaken(EmbeddedError):
    """Another process owns the data folder; the message says which, and since when."""

    def __init__(self, message: str) -> None:
        super().__init__("folder_taken", message, retriable=True)
