"""What a person is shown once, to take a TOTP secret into their authenticator app."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segno import QRCode


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new, still pending credential and its secret. Show it to the person once, over TLS, and keep none of it.

    Attributes:
        credential: id of the credential, for `OtpVerifier.confirm`.
        subject: whose it is.
        secret: Base32, for who cannot scan. Not in `repr`.
        uri: the `otpauth://` URI. Not in `repr`.
        expires_us: from then on it cannot be confirmed, microseconds since 1970.
    """

    credential: str
    subject: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    expires_us: int

    def qr_svg(self, *, scale: int = 4) -> str:
        """The URI as a QR code: an `<svg>` element to put into a page, never an address of somebody else's service.

        Args:
            scale: pixels a module, at least 1.

        Raises:
            ImportError: segno is not installed; the message says how to.
        """
        return self._qr().svg_inline(scale=scale)

    def qr_terminal(self) -> str:
        """The URI as a QR code of block characters, for a terminal.

        Raises:
            ImportError: segno is not installed; the message says how to.
        """
        shown = io.StringIO()
        self._qr().terminal(out=shown, compact=True)
        return shown.getvalue()

    def _qr(self) -> QRCode:
        try:
            from segno import make_qr
        except ImportError:
            raise ImportError('a QR code needs segno: pip install "stepwatch[qr]"') from None
        return make_qr(self.uri)
