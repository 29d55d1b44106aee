"""Runs a command that must not outlive whoever started it. A script by itself: it imports no other module.

    tether.py PARENT_PID PIPE_FD COMMAND...

PIPE_FD is -1 where the kernel ties the two (Linux): it then becomes the command. Elsewhere PIPE_FD is the
read end of a pipe whose write end only the parent has: when that closes, the parent is gone, and the whole
group of the command is killed.
"""

from __future__ import annotations

import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    parent, pipe, command = int(argv[1]), int(argv[2]), argv[3:]
    try:
        if pipe < 0:
            _tie(parent)
            os.execvp(command[0], command)
        return _watch(pipe, command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def _tie(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call; nothing would then tell us.
    if os.getppid() != parent:
        os._exit(1)


def _watch(pipe: int, command: list[str]) -> int:
    # Signals come to the whole group: the command decides what to do about them, and we wait for it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    child = os.fork()
    if child == 0:
        os.close(pipe)
        os.execvp(command[0], command)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) & 0xFF
        readable, _, _ = select.select([pipe], [], [], 0.1)
        if readable and not os.read(pipe, 1):
            os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
