"""One broker with a listener of every kind, an authorizer, and users of every mechanism."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.wire.certificates import HOST, Certificates, make_certificates

INSIDER = "insider"
"""May do everything: for what is about getting in, not about rights."""
ROLES = (
    *("producer", "sender", "correlate", "store", "notify", "ingest", "console"),
    *("operator", "publisher", "repairer", "responder", "auditor", "doctor"),
)
"""Those of the recipe; each has a user of its name."""
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

LISTENERS = {
    "PLAINTEXT": "PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
    "ADVERTISED": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "SASLTLS": "SASL_SSL",
}
"""Listener -> its protocol. ADVERTISED tells its clients of a name that is not in its certificate."""

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def _secret() -> str:
    # Letters and digits only: no form of quoting hides it from a search.
    return "Hush" + secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never be printed: the password of each user and of the client's key, and a wrong one."""

    users: dict[str, str] = field(default_factory=lambda: {user: _secret() for user in (INSIDER, *ROLES)})
    lock: str = field(default_factory=_secret)
    wrong: str = field(default_factory=_secret)

    def told_by(self, text: str) -> list[str]:
        """Those that stand in a text, whole or without their last letters."""
        return [one for one in (*self.users.values(), self.lock, self.wrong) if one[:16] in text]


class Wire:
    """The broker, what its clients need, and what none may say.

    Attributes:
        certificates: of its listeners and of their clients.
        secrets: of its users.
        server: started by whoever made this.
    """

    def __init__(self, folder: DataFolder) -> None:
        self.secrets = Secrets()
        self.certificates = make_certificates(folder.make("certificates"), INSIDER, self.secrets.lock)
        self._ports = {name: ports.any_free() for name in LISTENERS}
        self.server = EmbeddedKafka(
            folder,
            port=self._ports["PLAINTEXT"],
            properties=_properties(self.at, self.certificates, self.secrets),
            # Of the ways to make SCRAM users this is the one that costs no process each.
            format_arguments=[
                word
                for user, password in self.secrets.users.items()
                for mechanism in MECHANISMS[1:]
                for word in ("--add-scram", f"{mechanism}=[name={user},password={password}]")
            ],
        )

    def at(self, listener: str) -> str:
        """The address of a listener."""
        return f"{HOST}:{self._ports[listener]}"

    def way_in(self, listener: str, user: str = INSIDER, **changes: Any) -> dict[str, Any]:
        """The settings by which a client gets in at a listener, as `user` where it asks who."""
        protocol = LISTENERS[listener]
        values: dict[str, Any] = {"kafka_bootstrap": self.at(listener), "kafka_security_protocol": protocol}
        if protocol.endswith("SSL"):
            values["kafka_ssl_ca"] = self.certificates.ca
        if listener == "MUTUAL":
            values |= {"kafka_ssl_cert": self.certificates.client_cert, "kafka_ssl_key": self.certificates.client_key}
        if protocol.startswith("SASL"):
            values |= {"kafka_sasl_username": user, "kafka_sasl_password": self.secrets.users[user]}
        return {**values, **changes}


def _properties(at: Callable[[str], str], files: Certificates, known: Secrets) -> dict[str, str]:
    """What the broker's settings say beside, or instead of, the embedded server's own."""
    plain = " ".join(f'user_{user}="{password}"' for user, password in known.users.items())
    addresses = {name: f"{name}://{at(name)}" for name in LISTENERS}
    advertised = {**addresses, "ADVERTISED": addresses["ADVERTISED"].replace(HOST, "localhost")}
    properties = {
        "listeners": ",".join([*addresses.values(), f"CONTROLLER://{HOST}:{{controller}}"]),
        "advertised.listeners": ",".join(advertised.values()),
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{name}:{protocol}" for name, protocol in LISTENERS.items())]
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files.ca),
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        # The broker itself, and clients of listeners that ask for no name, are ANONYMOUS.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{INSIDER}",
        "allow.everyone.if.no.acl.found": "false",
    }
    keys = {"EXPIRED": files.expired, "ELSEWHERE": files.elsewhere}
    for name, protocol in LISTENERS.items():
        listener = f"listener.name.{name.lower()}"
        if protocol.endswith("SSL"):
            properties[f"{listener}.ssl.keystore.type"] = "PEM"
            properties[f"{listener}.ssl.keystore.location"] = str(keys.get(name, files.server))
        if protocol.startswith("SASL"):
            properties[f"{listener}.plain.sasl.jaas.config"] = f"{_PLAIN} {plain};"
            for mechanism in MECHANISMS[1:]:
                properties[f"{listener}.{mechanism.lower()}.sasl.jaas.config"] = _SCRAM
    return properties
