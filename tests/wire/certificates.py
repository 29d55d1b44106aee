"""Certificates that the tests make for themselves: the right ones, and each kind of wrong one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

HOST = "127.0.0.1"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM. Of a server: key and chain in one file, as Kafka wants it.

    Attributes:
        ca: the authority that signs all of them.
        stranger: an authority that signed none.
        server: names 127.0.0.1.
        expired: the same, until yesterday.
        elsewhere: names another host only.
        client_cert, client_key: of a client, whose common name is `insider`.
        locked_key, lock: the same key under a password.
        strange_cert, strange_key: of a client, by the stranger.
    """

    ca: Path
    stranger: Path
    server: Path
    expired: Path
    elsewhere: Path
    client_cert: Path
    client_key: Path
    locked_key: Path
    lock: str
    strange_cert: Path
    strange_key: Path


def make_certificates(folder: Path, client: str, lock: str) -> Certificates:
    """Make all of them.

    Args:
        folder: where they are put.
        client: the client's common name.
        lock: the password of its locked key.
    """
    ca, stranger = trustme.CA(), trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    past = {"not_before": now - 3 * _DAY, "not_after": now - _DAY}
    servers = {
        "server": ca.issue_cert(HOST),
        "expired": ca.issue_cert(HOST, **past),
        "elsewhere": ca.issue_cert("kafka.example"),
    }
    made = {name: _write(folder / f"{name}.pem", _key(cert), _chain(cert)) for name, cert in servers.items()}
    insider = ca.issue_cert("insider.example", common_name=client)
    strange = stranger.issue_cert("insider.example", common_name=client)
    return Certificates(
        ca=_write(folder / "ca.pem", ca.cert_pem.bytes()),
        stranger=_write(folder / "stranger.pem", stranger.cert_pem.bytes()),
        **made,
        client_cert=_write(folder / "client.pem", _chain(insider)),
        client_key=_write(folder / "client-key.pem", _key(insider)),
        locked_key=_write(folder / "client-locked-key.pem", _key(insider, lock)),
        lock=lock,
        strange_cert=_write(folder / "strange.pem", _chain(strange)),
        strange_key=_write(folder / "strange-key.pem", _key(strange)),
    )


def _write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def _chain(cert: trustme.LeafCert) -> bytes:
    return b"".join(pem.bytes() for pem in cert.cert_chain_pems)


def _key(cert: trustme.LeafCert, lock: str | None = None) -> bytes:
    """The key as PKCS #8, the only form that Kafka reads."""
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    how = BestAvailableEncryption(lock.encode()) if lock else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
