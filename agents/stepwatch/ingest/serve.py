"""The role `ingest` as a process."""

from __future__ import annotations

import asyncio

from stepwatch.agents.logs import get_logger
from stepwatch.agents.settings import Settings
from stepwatch.ingest.app import build_app
from stepwatch.ingest.connections import Bounds
from stepwatch.ingest.service import Ingest
from stepwatch.ingest.serving import Site, listen, run_role, serve
from stepwatch.ingest.tokens import read_tokens

log = get_logger(__name__)


def main(settings: Settings) -> int:
    """Run the role as this process; returns the exit status."""
    return run_role(settings, "ingest", lambda: _run(settings))


async def _run(settings: Settings) -> int:
    if not read_tokens(settings.tokens_path):
        log.warning(
            "there is no token yet, so nobody can post: `stepwatch token create`", file=str(settings.tokens_path)
        )
    site = Site(
        "ingest",
        settings.ingest_host,
        settings.ingest_port,
        settings.ingest_tls_cert,
        settings.ingest_tls_key,
        at_stake="tokens",
        bounds=Bounds(settings.ingest_head_ms / 1000, settings.ingest_body_ms / 1000, settings.ingest_connections),
        idle_s=settings.ingest_idle_ms // 1000,
    )
    listener, ingest = listen(site, backlog=2048), Ingest(settings)
    kept = {
        "kafka": ingest.outlet.keep,
        "policies": ingest.keep_policies,
        "assurance": ingest.keep_assurance,
        "alerts": ingest.alerts.follow,
    }
    parts = [ingest.persist(name, keep, asyncio.sleep) for name, keep in kept.items()]
    return await serve(site, build_app(ingest), listener, parts, ingest.streams.close)
