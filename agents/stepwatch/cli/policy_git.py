"""Policy files as a commit of git has them, without checking it out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from stepwatch.cli.errors import Misused
from stepwatch.cli.policy import SUFFIXES


def texts_at(revision: str, path: Path) -> list[tuple[str, str]]:
    """(name, text) of a policy file, or of those in a folder, at a revision.

    Args:
        revision: a branch, a tag or a commit.
        path: in a working tree of git; it need not be there any more.

    Raises:
        Misused: git, the revision or the path is not there, or a file is not UTF-8.
    """
    if not revision or revision.startswith("-"):
        raise Misused(f"--git {revision}: expected a branch, a tag or a commit, like main or HEAD~1")
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        listed = _git(folder, "ls-tree", "-z", "--name-only", revision, "./").split(b"\0")
        names = [name for name in map(_utf8, filter(None, listed)) if name.endswith(SUFFIXES)]
        if not names:
            raise Misused(f"{path} holds no policy file (*.yaml, *.yml) at {revision}")
    else:
        names = [path.name]
    found = []
    for name in names:
        base = Path(name).name
        said = f"{revision}:{folder / base}"
        try:
            found.append((said, _git(folder, "show", f"{revision}:./{base}").decode()))
        except UnicodeDecodeError as error:
            raise Misused(f"{said}: not UTF-8") from error
    return found


def _utf8(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _git(folder: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    except OSError as error:
        raise Misused(f"--git needs git: {error.strerror or error}") from error
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip() or f"status {done.returncode}").splitlines()[0]
        raise Misused(f"git {' '.join(words)}: {why}")
    return done.stdout
