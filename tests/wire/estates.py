"""Topics of a prefix whose rights the recipe has granted, and the settings of each role with its own user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from tests.live.harness import new_settings
from tests.servers import ClickHouseSettings
from tests.wire.listeners import ROLES, Wire
from tests.wire.rights import Right, grant, recipe, rights_of


@dataclass(frozen=True, slots=True)
class Estate:
    """Topics of a prefix whose rights the recipe has granted; made by the operator's own commands."""

    wire: Wire
    clickhouse: ClickHouseSettings
    tmp: Path
    prefix: str
    rights: set[Right]

    def settings(self, role: str, **changes: Any) -> Settings:
        """The settings of a role with its own user."""
        values = {
            "prefix": self.prefix,
            "clickhouse_url": self.clickhouse.url,
            "clickhouse_user": self.clickhouse.user,
            "clickhouse_password": self.clickhouse.password,
            "clickhouse_database": self.clickhouse.database,
            "policies_dir": None,
            "store_web_port": 0,
            "notify_web_port": 0,
            "ingest_port": ports.any_free(),
        }
        return new_settings("", self.tmp, **self.wire.way_in("SASLTLS", role), **{**values, **changes})

    def right(self, role: str, operation: str, kind: str, name: str) -> Right:
        """The one that the recipe grants for this."""
        [found] = [one for one in self.rights if one[:4] == (f"User:{role}", operation, kind, self.prefix + name)]
        return found


@asynccontextmanager
async def administrator(wire: Wire) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=wire.at("PLAINTEXT"))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def found_estate(wire: Wire, clickhouse: ClickHouseSettings, tmp: Path) -> Estate:
    """The rights of a new prefix, as the recipe grants them; no topics yet."""
    prefix = new_settings("", tmp).prefix
    rights = rights_of(recipe(tmp, wire.at("PLAINTEXT"), prefix, *(f"{role}=User:{role}" for role in ROLES)))

    async def grant_all() -> None:
        async with administrator(wire) as admin:
            for right in rights:
                await grant(admin, right)

    asyncio.run(grant_all())
    return Estate(wire, clickhouse, tmp, prefix, rights)
