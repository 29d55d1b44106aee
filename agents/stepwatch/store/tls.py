"""Why nobody gets in at ClickHouse's HTTPS: asked by hand, since the client tells a refusal and an absence alike."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any

_LOOK_S = 5.0
_ALERT_S = 1.0
"""How long a server that lets us in is listened to in vain."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""OpenSSL's X509_V_ERR numbers."""


class TlsRefused(ValueError):
    """Something answers, and TLS does not come about; the message names the setting to look at."""

    code = "tls_refused"
    retriable = False


def find_tls_refusal(options: dict[str, Any]) -> TlsRefused | None:
    """Connect once as the client would, and say why TLS does not come about; None where it does, or nobody answers.

    Args:
        options: of the client (`client_options`).
    """
    host, port = options["host"], options["port"]
    where = f"ClickHouse at {host}:{port}"
    if options["interface"] == "http":
        return TlsRefused(_other_scheme(where, "speaks TLS", "http", "https")) if _speaks_tls(host, port) else None
    context = build_context(options)
    try:
        with (
            socket.create_connection((host, port), _LOOK_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            # A server that does not accept our certificate says so only after the handshake, and one that closes on a
            # request that it did not read takes back even that: so nothing is asked.
            secured.settimeout(_ALERT_S)
            secured.recv(1)
            return None
    except ssl.SSLCertVerificationError as error:
        return TlsRefused(_of_its_certificate(where, host, options, error))
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            return TlsRefused(_of_our_certificate(where, options, error))
        return TlsRefused(_other_scheme(where, "speaks no TLS", "https", "http")) if _speaks_http(host, port) else None
    except OSError:
        return None


def build_context(options: dict[str, Any]) -> ssl.SSLContext:
    """What the client will make of its files.

    Raises:
        TlsRefused: of one of them it can make nothing.
    """
    ca = options.get("ca_cert")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise TlsRefused(f"STEPWATCH_CLICKHOUSE_CA={ca} is no file of certificates in PEM: {_why(error)}") from error
    if not options["verify"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    cert, key = options.get("client_cert"), options.get("client_cert_key")
    if cert is not None:
        try:
            # An empty password, or OpenSSL would ask for one on the terminal.
            context.load_cert_chain(cert, key, "")
        except OSError as error:
            raise TlsRefused(
                f"STEPWATCH_CLICKHOUSE_CERT={cert} and STEPWATCH_CLICKHOUSE_KEY={key} cannot be used: {_why(error)}; "
                "expected a certificate and its own key in PEM, without a password"
            ) from error
    return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it cannot be read, or has a password").replace("_", " ").lower()
    return error.strerror or str(error)


def _of_our_certificate(where: str, options: dict[str, Any], error: ssl.SSLError) -> str:
    cert = options.get("client_cert")
    reason = (error.reason or "").partition("ALERT_")[2].replace("_", " ").lower()
    if cert is None:
        return (
            f"{where} wants to see a certificate of ours ({reason}): set STEPWATCH_CLICKHOUSE_CERT and "
            "STEPWATCH_CLICKHOUSE_KEY"
        )
    return (
        f"{where} does not accept our certificate {cert} ({reason}): set STEPWATCH_CLICKHOUSE_CERT and "
        "STEPWATCH_CLICKHOUSE_KEY to one that is valid and signed by an authority of the server's"
    )


def _of_its_certificate(where: str, host: str, options: dict[str, Any], error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (_EXPIRED, _NOT_YET):
        when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return (
            f"the certificate of {where} {when}: renew it at the server, or see whether the clock of this machine is "
            "right; STEPWATCH_CLICKHOUSE_VERIFY stays on"
        )
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            f"the certificate of {where} does not name {host}: write STEPWATCH_CLICKHOUSE_URL with a name that is in "
            "the certificate"
        )
    ca = options.get("ca_cert")
    trusted = f"{ca}, as STEPWATCH_CLICKHOUSE_CA says" if ca else "the system's, since STEPWATCH_CLICKHOUSE_CA is unset"
    return (
        f"the certificate of {where} is signed by no authority that we trust ({error.verify_message}): trusted are "
        f"{trusted}; set it to the PEM file of the authority that signed the server's certificate"
    )


def _other_scheme(where: str, does: str, have: str, want: str) -> str:
    return (
        f"{where} {does}: STEPWATCH_CLICKHOUSE_URL begins with {have}://; write {want}://, or the port of its "
        f"{have.upper()} interface"
    )


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent but the greeting, and nothing believed but that it was answered.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), _LOOK_S) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def _speaks_http(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_LOOK_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
