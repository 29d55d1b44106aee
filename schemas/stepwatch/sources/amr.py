"""Vendor words for an authentication factor, as RFC 8176 `amr` values.

One table for all products, each row with its source. A word that is missing, or has no value here, says
nothing about the factor: the proof then has no `amr`, and a policy that names factors does not accept it. RFC
8176 has no value for a code or link sent by e-mail, for a third party's decision (Duo, an external identity
provider) or for a recovery code.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

RFC_8176: Final = frozenset(
    {
        *("face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba"),
        *("retina", "sc", "sms", "swk", "tel", "user", "vbm", "wia"),
    }
)
"""The registered values: RFC 8176 section 2, with `pop` of the IANA registry."""


class Word(NamedTuple):
    """What a vendor's word means.

    Attributes:
        amr: RFC 8176 values; empty where the RFC has none.
        source: where the meaning is written down.
        key: the factor is a key, of which the log may say more (hardware, user verified).
    """

    amr: tuple[str, ...]
    source: str
    key: bool = False


_OKTA_FACTORS = "Okta Factors API, factorType and provider; Okta System Log, debugData.factor"
_OKTA_AUTHENTICATORS = (
    "Okta System Log, target AuthenticatorEnrollment, detailEntry.methodTypeUsed; Okta Authenticators API"
)
_OKTA_CONTEXT = "Okta System Log API, authenticationContext.credentialType"
_AWS_SIGN_IN = "AWS CloudTrail User Guide, AWS Management Console sign-in events; IAM User Guide, MFA device ARNs"
_AWS_IDENTITY_CENTER = "AWS IAM Identity Center User Guide, Understanding IAM Identity Center sign-in events"


def _words(source: str, table: dict[str, tuple[str, ...]], key: bool = False) -> dict[str, Word]:
    return {name: Word(values, source, key) for name, values in table.items()}


OKTA: Final[dict[str, Word]] = {
    # WebAuthn is proof of possession of a key that almost always sits in hardware (security key, secure
    # enclave, TPM). Where the row lists the verified properties, those decide (`key_words`).
    **_words(_OKTA_FACTORS, {"fido webauthn": ("hwk",), "webauthn": ("hwk",), "fido u2f": ("hwk",)}, key=True),
    **_words(_OKTA_FACTORS, {"u2f": ("hwk",), "windows hello": ("hwk",)}, key=True),
    # Okta Verify answers a push by signing with a key of the app.
    **_words(_OKTA_FACTORS, {"okta verify push": ("swk",), "push": ("swk",), "signed nonce": ("swk",)}, key=True),
    **_words(
        _OKTA_FACTORS,
        {
            "okta soft token": ("otp",),
            "okta verify totp": ("otp",),
            "google otp": ("otp",),
            "google soft token": ("otp",),
            "google authenticator": ("otp",),
            "token software totp": ("otp",),
            "token hotp": ("otp",),
            "token hardware": ("otp",),
            "token": ("otp",),
            "totp": ("otp",),
            "custom otp": ("otp",),
            "custom hotp": ("otp",),
            "yubikey": ("otp",),
            "yubikey token": ("otp",),
            "yubikey otp": ("otp",),
            "yubikey authenticator": ("otp",),
            "rsa securid": ("otp",),
            "symantec vip": ("otp",),
            "sms factor": ("sms",),
            "sms": ("sms",),
            "call factor": ("tel",),
            "call": ("tel",),
            "voice": ("tel",),
            "security question": ("kba",),
            "question": ("kba",),
            "password as factor": ("pwd",),
            "password": ("pwd",),
            "email factor": (),
            "email": (),
            "duo security": (),
            "duo": (),
            "claims provider": (),
            "idp": (),
        },
    ),
    **_words(
        _OKTA_AUTHENTICATORS,
        {"use okta fastpass": ("swk",), "okta fastpass": ("swk",), "get a push notification": ("swk",)},
        key=True,
    ),
    **_words(
        _OKTA_AUTHENTICATORS,
        {
            "security key or biometric authenticator": ("hwk",),
            "security key or biometric": ("hwk",),
            "passkey": ("hwk",),
            "passkeys": ("hwk",),
        },
        key=True,
    ),
    **_words(_OKTA_AUTHENTICATORS, {"enter a code": ("otp",), "smart card": ("sc",), "smart card idp": ("sc",)}),
    **_words(_OKTA_CONTEXT, {"otp": ("otp",), "iwa": ("wia",), "assertion": (), "oauth2": (), "certificate": ()}),
}
AWS: Final[dict[str, Word]] = {
    **_words(
        _AWS_SIGN_IN,
        {
            "virtual mfa": ("otp",),
            "hardware mfa": ("otp",),
            "hardware totp": ("otp",),
            "sms mfa": ("sms",),
            "u2f mfa": ("hwk",),
            "u2f": ("hwk",),
            "fido": ("hwk",),
            "fido2": ("hwk",),
            "fido mfa": ("hwk",),
            "fido2 mfa": ("hwk",),
            "webauthn mfa": ("hwk",),
            "security key": ("hwk",),
            "passkey": ("hwk",),
            # The kind in the ARN of a device: arn:aws:iam::111122223333:mfa/phone,
            # ...:u2f/user/anaya/default-...
            "arn mfa": ("otp",),
            "arn sms mfa": ("sms",),
            "arn u2f": ("hwk",),
        },
    ),
    **_words(
        _AWS_IDENTITY_CENTER,
        {
            "password": ("pwd",),
            "totp": ("otp",),
            "resync totp": ("otp",),
            "webauthn": ("hwk",),
            "email otp": ("otp",),
            "external idp": (),
        },
    ),
}
TABLE: Final[dict[str, dict[str, Word]]] = {"okta": OKTA, "aws": AWS}

_SEPARATORS = re.compile(r"[^a-z0-9]+")


def lookup(product: str, vendor_word: str) -> Word | None:
    """The meaning of a vendor's word, or None where the table does not know it.

    Args:
        product: a key of `TABLE`.
        vendor_word: as the log writes it; case and punctuation do not matter (`FIDO_WEBAUTHN`,
            `token:software:totp`).
    """
    return TABLE[product].get(_SEPARATORS.sub(" ", vendor_word.lower()).strip())


def key_words(word: Word, properties: frozenset[str]) -> list[str]:
    """The values of a factor, refined by what the log says was verified of a key.

    Args:
        word: as looked up.
        properties: for example HARDWARE_PROTECTED, USER_VERIFYING; empty where the log lists none.

    Returns:
        For a key whose properties are listed: `hwk` only with HARDWARE_PROTECTED, else `swk`; `user` where
        the key verified the person. Presence alone (USER_PRESENCE) is not said as `user`.
    """
    if not word.key or not properties:
        return list(word.amr)
    words = ["hwk" if "HARDWARE_PROTECTED" in properties else "swk"]
    if properties & {"USER_VERIFYING", "USER_VERIFICATION"}:
        words.append("user")
    return words
