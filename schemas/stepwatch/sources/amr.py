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
_KEYCLOAK = "Keycloak, types of stored credentials (CredentialModel), event detail credential_type"


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
            "email otp": (),
            "external idp": (),
        },
    ),
}
_ENTRA_STEPS = (
    "Microsoft Graph, authenticationDetail.authenticationMethod; Microsoft Entra sign-in logs, MFA event details"
)
_ENTRA_RESULTS = "Microsoft Entra, Sign-in event details for multifactor authentication, authenticationStepResultDetail"
_ENTRA_MFA_DETAIL = "Microsoft Graph, mfaDetail.authMethod; StrongAuthenticationMethod types"
ENTRA: Final[dict[str, Word]] = {
    # Windows Hello and platform credentials keep their key in the TPM or the secure enclave; a passkey that is
    # synced leaves the device.
    **_words(
        _ENTRA_STEPS,
        {
            "password": ("pwd",),
            "fido": ("hwk",),
            "fido2": ("hwk",),
            "fido2 security key": ("hwk",),
            "passkey": ("hwk",),
            "passkey device bound": ("hwk",),
            "passkey synced": ("swk",),
            "windows hello for business": ("hwk",),
            "windows hello": ("hwk",),
            "platform credential": ("hwk",),
            "platform credential for macos": ("hwk",),
            # A certificate is a key proved to be there; whether it lies in a smart card is not said.
            "x 509 certificate": ("pop",),
            "certificate": ("pop",),
            # The app answers a push, and a sign-in by phone, by signing with a key of its own.
            "mobile app notification": ("swk",),
            "microsoft authenticator": ("swk",),
            "microsoft authenticator app": ("swk",),
            "authenticator app": ("swk",),
            "microsoft authenticator passwordless": ("swk",),
            "passwordless phone sign in": ("swk",),
            "phone sign in": ("swk",),
            "oath verification code": ("otp",),
            "mobile app verification code": ("otp",),
            "software oath token": ("otp",),
            "hardware oath token": ("otp",),
            "oath hardware token": ("otp",),
            "text message": ("sms",),
            "sms": ("sms",),
            "sms sign in": ("sms",),
            "voice": ("tel",),
            "phone call": ("tel",),
            "phone call approval authentication phone": ("tel",),
            "phone call approval office phone": ("tel",),
            "phone call approval alternate phone": ("tel",),
            "seamless sso": ("wia",),
            "integrated windows authentication": ("wia",),
            "email one time passcode": (),
            "email otp": (),
            "temporary access pass": (),
            "external authentication method": (),
            "federated": (),
        },
    ),
    **_words(
        _ENTRA_MFA_DETAIL,
        {
            "phoneappnotification": ("swk",),
            "phoneappotp": ("otp",),
            "onewaysms": ("sms",),
            "twowayvoicemobile": ("tel",),
            "twowayvoiceoffice": ("tel",),
            "twowayvoicealternatemobile": ("tel",),
        },
    ),
    # What the product says of a step that ended: by these words, several factors were proved.
    **_words(
        _ENTRA_RESULTS,
        {
            "mfa completed in azure ad": ("mfa",),
            "mfa completed in the cloud": ("mfa",),
            "mfa completed in microsoft entra id": ("mfa",),
            "mfa successfully completed": ("mfa",),
        },
    ),
}
KEYCLOAK: Final[dict[str, Word]] = {
    **_words(_KEYCLOAK, {"webauthn": ("hwk",), "webauthn passwordless": ("hwk",)}, key=True),
    **_words(
        _KEYCLOAK,
        {
            "password": ("pwd",),
            "otp": ("otp",),
            "totp": ("otp",),
            "hotp": ("otp",),
            "recovery authn codes": (),
            "kerberos": (),
            "secret": (),
        },
    ),
}
_DUO_FACTORS = "Duo Admin API, Authentication Logs, factor"
_DUO_ADMIN = "Duo Admin API, Administrator and Offline Enrollment Logs, factor in description"
DUO: Final[dict[str, Word]] = {
    # Duo Mobile answers a push by signing with a key of the app.
    **_words(_DUO_FACTORS, {"duo push": ("swk",), "verified duo push": ("swk",)}),
    **_words(
        _DUO_FACTORS,
        {
            "phone call": ("tel",),
            "sms passcode": ("sms",),
            "passcode": ("otp",),
            "duo mobile passcode": ("otp",),
            "duo mobile passcode hotp": ("otp",),
            "duo mobile passcode totp": ("otp",),
            "hardware token": ("otp",),
            "digipass go 7 token": ("otp",),
            "yubikey code": ("otp",),
            "yubikey passcode": ("otp",),
            "u2f token": ("hwk",),
            "webauthn credential": ("hwk",),
            "webauthn security key": ("hwk",),
            "webauthn chrome touch id": ("hwk",),
            # No factors: what let somebody through without one, or only asked for codes.
            "bypass code": (),
            "remembered device": (),
            "trusted network": (),
            "sms refresh": (),
            "not available": (),
        },
    ),
    **_words(
        _DUO_ADMIN,
        {
            "push": ("swk",),
            "phone": ("tel",),
            "sms": ("sms",),
            "hardtoken": ("otp",),
            "yubikey aes": ("otp",),
            "duo otp": ("otp",),
            "webauthn": ("hwk",),
            "security key": ("hwk",),
        },
    ),
}
TABLE: Final[dict[str, dict[str, Word]]] = {"okta": OKTA, "aws": AWS, "entra": ENTRA, "keycloak": KEYCLOAK, "duo": DUO}

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
