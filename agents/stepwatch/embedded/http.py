"""The few words of HTTP that the launcher exchanges with its own ClickHouse."""

from __future__ import annotations

import http.client
from typing import NamedTuple

from stepwatch.embedded.ports import HOST


class Answer(NamedTuple):
    """What the server said.

    Attributes:
        status: HTTP status; 0: it could not be reached.
        code: ClickHouse's error code, 0 for none.
        text: the body.
    """

    status: int
    code: int
    text: str


def ask(port: int, query: str, login: tuple[str, str], *, host: str = HOST, timeout_s: float = 10.0) -> Answer:
    """Run one statement as a user (name, password); never raises for an answer or its lack."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("POST", "/", query.encode(), {"X-ClickHouse-User": login[0], "X-ClickHouse-Key": login[1]})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        code = response.headers.get("X-ClickHouse-Exception-Code") or "0"
        return Answer(response.status, int(code) if code.isdigit() else 0, text)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, 0, str(error))
    finally:
        connection.close()
