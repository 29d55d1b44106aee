"""What `stepwatch doctor` looks at on the machine that it runs on: roles' pages, disk, files of secrets, the beat."""

from __future__ import annotations

import http.client
import shutil
import ssl
import stat
from pathlib import Path

from stepwatch.agents.checks import Check
from stepwatch.agents.deadman import read_url
from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.settings import Role, Settings
from stepwatch.notifiers.routing import RoutesRefused, load_routes

_PAGE_S = 3
_LINES_MAX = 5
_FREE_MIN_BYTES = 1 << 30
_FREE_MIN = 0.05
"""Kafka and ClickHouse stop writing on a full disk, and merging needs room before that."""
_OTHERS = stat.S_IRWXO
ROLES: tuple[Role, ...] = ("correlate", "store", "notify", "ingest")
_KEYS = ("kafka_ssl_key", "clickhouse_key", "ingest_tls_key", "console_tls_key")


def check_page(role: Role, host: str, port: int, *, expected: bool, tls: bool = False) -> Check:
    """What a role says of itself on /readyz; blocks for some seconds at most.

    Args:
        role: whose page.
        host, port: where it is.
        expected: the role must run here; else it may well run on another machine.
        tls: it is served over TLS.
    """
    name, where = f"{role} page", f"http{'s' if tls else ''}://{host}:{port}/readyz"
    connection = http.client.HTTPConnection(host, port, timeout=_PAGE_S)
    if tls:
        # Its certificate names the host that others know it by; here it is only asked how it is.
        connection = http.client.HTTPSConnection(host, port, timeout=_PAGE_S, context=ssl._create_unverified_context())
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        lines = answer.read(65536).decode(errors="replace").split("\n")
    except (OSError, http.client.HTTPException) as error:
        if expected:
            return Check(
                name, f"no answer from {where} ({type(error).__name__})", f"read the log of `stepwatch {role}`"
            )
        return Check(name, f"nobody answers at {where}: the role does not run on this machine, or shows no page")
    finally:
        connection.close()
    said = [line for line in lines if line.strip()][:_LINES_MAX]
    if answer.status == 200 and said == ["ready"]:
        return Check(name, f"ready, says {where}")
    words = "; ".join(line for line in said if line != "ready") or f"status {answer.status}"
    return Check(name, words, f"do what it says; the log of `stepwatch {role}` says more")


def check_disk(settings: Settings) -> Check:
    """How much room the disk of the data folder has."""
    folder = settings.data_dir
    if not folder.exists():
        return Check("disk", f"there is no {folder}: no embedded server runs here")
    usage = shutil.disk_usage(folder)
    free = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f} GB at {folder}"
    if usage.free < _FREE_MIN_BYTES or usage.free < usage.total * _FREE_MIN:
        return Check("disk", free, "make room, or move the folder to a larger disk and set STEPWATCH_DATA")
    return Check("disk", free)


def check_secrets(settings: Settings) -> list[Check]:
    """The files of secrets that settings and the routing file name: each is there, can be read, and by nobody else."""
    wrong = []
    files = _secret_files(settings)
    for name, path in files:
        try:
            with path.open("rb") as file:
                file.read(1)
            mode = path.stat().st_mode
        except OSError as error:
            words = f"{name}={path} cannot be read: {error.strerror}"
            wrong.append(Check("secrets", words, "put the file there, or name the right one"))
            continue
        if not stat.S_ISREG(mode):
            wrong.append(Check("secrets", f"{name}={path} is no file", "name a file"))
        elif mode & _OTHERS:
            words = f"{name}={path} is open to every user of this machine (mode {stat.S_IMODE(mode):04o})"
            wrong.append(Check("secrets", words, f"chmod o= {path}; of a mounted secret set its mode to 0440"))
    if wrong:
        return wrong
    if not files:
        return [Check("secrets", "no setting names a file that holds one")]
    return [Check("secrets", f"closed to others: {', '.join(str(path) for _, path in files)}")]


def check_routes(settings: Settings) -> Check:
    """Whether the routing file can be used, with the secrets that it names; nothing is sent."""
    path = settings.notify_routes
    if path is None:
        return Check("routes", "no routing file: notify writes alerts to its standard output; STEPWATCH_NOTIFY_ROUTES")
    try:
        routes = load_routes(path)
        routes.open_receivers()
    except RoutesRefused as refused:
        return Check("routes", str(refused).replace("\n", "; "), f"repair it; `stepwatch notify check {path}` tries it")
    return Check("routes", f"{path}: {len(routes.channels)} channels; `stepwatch notify test` rings at each")


def check_deadman(settings: Settings) -> Check:
    """Whether a beat is set; none is sent, since it would say that detection goes on."""
    try:
        url = read_url(settings)
    except SettingWrong as error:
        return Check("dead-man", str(error), "put the address that your alarm service gave you into that file")
    if url is None:
        words = "no beat is set: that all of this has stopped is told to nobody; STEPWATCH_DEADMAN_URL_FILE sets one"
        return Check("dead-man", words)
    return Check("dead-man", f"a beat every {settings.deadman_every_ms / 1000:g} s, to an address that is not shown")


def _secret_files(settings: Settings) -> list[tuple[str, Path]]:
    """(where it is named, path) of each file that holds a secret: by a setting, or in the routing file."""
    names = [name for name in Settings.model_fields if name.endswith("_file") or name in _KEYS]
    files = [(f"STEPWATCH_{name.upper()}", Path(value)) for name in names if (value := getattr(settings, name))]
    return files + _files_of_routes(settings)


def _files_of_routes(settings: Settings) -> list[tuple[str, Path]]:
    """(where it is named, path) of the secrets of the routing file; of a file with a fault `check_routes` tells."""
    if settings.notify_routes is None:
        return []
    try:
        routes = load_routes(settings.notify_routes)
    except RoutesRefused:
        return []
    return [(f"{settings.notify_routes}: {field}", path) for field, path in routes.secret_files()]
