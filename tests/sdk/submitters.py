"""Many submissions at once of codes to one SQLite store, from threads; run in processes of their own by a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

from stepwatch.sdk.otp import OtpResult, SqliteOtpStore
from tests.sdk.codes import Clock, Desk


def at_once(count: int, submit: Callable[[int], OtpResult]) -> Counter[str]:
    """What became of `count` submissions that start together."""
    barrier, outcomes = Barrier(count), Counter[str]()

    def one(number: int) -> None:
        barrier.wait()
        outcomes[submit(number).outcome] += 1

    threads = [Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def submit_codes(path: str, token: str, codes: list[str], now_us: int, ready: Barrier) -> dict[str, int]:
    """Each code once, all at once, to the store in this file, when every process is `ready`."""
    desk = Desk(store=SqliteOtpStore(path, wait_s=60), clock=Clock(now_us))
    ready.wait(120)
    return dict(
        at_once(len(codes), lambda number: desk.otp.verify(token, codes[number], subject="alice", session="s-1"))
    )
