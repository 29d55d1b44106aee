"""TOTP secrets at rest: sealed before they reach the store, opened only to check a code.

Whoever reads the database learns no secret, and whoever can write it cannot put the secret of one credential in the
place of another's: what is sealed names what it is for, and is opened for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SealBroken(ValueError):
    """What was sealed cannot be opened: another key, another purpose, or changed on its way."""


class Secrets(Protocol):
    """What the verifier asks of whoever seals; a key management service can stand behind it."""

    def seal(self, purpose: str, plain: bytes) -> str:
        """Encrypt and authenticate `plain` for one purpose.

        Returns:
            A text of `[A-Za-z0-9_=-]`.
        """

    def open(self, purpose: str, sealed: str) -> bytes:
        """What was sealed for this purpose.

        Raises:
            SealBroken: it was not sealed for this purpose with one of the keys.
        """

    def reseal(self, sealed: str) -> str:
        """The same, sealed with the newest key.

        Raises:
            SealBroken: it was sealed with none of the keys.
        """


class FernetSecrets:
    """Seals with Fernet of the library `cryptography` (AES-128-CBC and HMAC-SHA-256, encrypt then authenticate).

    To rotate, with every process at each step before the next: add the new key at the end; put it in front; call
    `OtpVerifier.reseal()` once; wait for `OtpRules.challenge_s`; take the old key away. In front at once, it would
    seal what a process that does not have it yet cannot open.

    Args:
        keys: Fernet keys, newest first: it seals, all of them open. `FernetSecrets.new_key()` makes one. Keep them
            where the database is not: an environment variable, a secrets manager.

    Raises:
        ValueError: `keys` is empty or holds something that is no Fernet key (which one is said, the key is not).
        ImportError: `cryptography` is not installed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        # Imported here: an application that seals elsewhere needs no `cryptography`.
        from cryptography.fernet import Fernet, MultiFernet

        if isinstance(keys, str) or not keys:
            raise ValueError("keys: expected a list of at least one Fernet key, newest first")
        fernets = []
        for place, key in enumerate(keys):
            try:
                fernets.append(Fernet(key))
            except (ValueError, TypeError):
                raise ValueError(
                    f"keys[{place}]: expected a Fernet key of 44 characters; FernetSecrets.new_key() makes one"
                ) from None
        self._fernet = MultiFernet(fernets)

    @staticmethod
    def new_key() -> str:
        """A new random key, as text."""
        from cryptography.fernet import Fernet

        return Fernet.generate_key().decode()

    def seal(self, purpose: str, plain: bytes) -> str:
        """As `Secrets.seal`."""
        return self._fernet.encrypt(_prefix(purpose) + plain).decode()

    def open(self, purpose: str, sealed: str) -> bytes:
        """As `Secrets.open`."""
        from cryptography.fernet import InvalidToken

        prefix = _prefix(purpose)
        try:
            whole = self._fernet.decrypt(sealed)
        except (InvalidToken, TypeError, ValueError):
            raise SealBroken("sealed with none of the keys, or changed since") from None
        if not whole.startswith(prefix):
            raise SealBroken(f"not sealed as {purpose!r}")
        return whole[len(prefix) :]

    def reseal(self, sealed: str) -> str:
        """As `Secrets.reseal`."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.rotate(sealed).decode()
        except (InvalidToken, TypeError, ValueError):
            raise SealBroken("sealed with none of the keys, or changed since") from None


def _prefix(purpose: str) -> bytes:
    # The length in front keeps one purpose from being the beginning of another.
    said = purpose.encode()
    return len(said).to_bytes(4) + said
