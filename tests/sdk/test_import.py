"""What `import stepwatch.sdk` brings into somebody else's program."""

from __future__ import annotations

import subprocess
import sys

NOT_OURS_TO_BRING = {
    *(
        "pydantic",
        "pydantic_core",
        "faust",
        "mode",
        "aiokafka",
        "asyncio",
        "pydantic_settings",
        "clickhouse_connect",
        "chdb",
        "yaml",
        "typer",
    ),
    *(
        "rich",
        "structlog",
        "pyotp",
        "segno",
        "ssl",
        "http",
        "sqlite3",
        "cryptography",
        "httpx",
        "requests",
        "urllib3",
        "fcntl",
    ),
}
MODULES_MAX = 120
"""Measured: 100, nearly all of them the standard library's; `-X importtime` says how long they take."""
SAY = """
import sys
before = set(sys.modules)
import stepwatch.sdk
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


def test_it_brings_no_client_no_worker_no_event_loop_and_no_models_before_the_first_source() -> None:
    ran = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, timeout=60, check=True)
    modules = ran.stdout.split()
    assert sorted({name.partition(".")[0] for name in modules} & NOT_OURS_TO_BRING) == []
    assert {"stepwatch.sdk.kafka", "stepwatch.sdk.http"} <= set(modules)
    assert len(modules) <= MODULES_MAX, modules
