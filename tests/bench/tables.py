"""A year of tables for the measurements of ClickHouse, made by ClickHouse itself: as many audit rows as asked for.

Of ten actions two are policed: nine of ten of these verified, the rest unverified, blind or exempt; one of a hundred
policed actions has a second revision. A subject acts four times under one proof, and there is a proof for every four
actions, policed or not; one action of a thousand comes from another device than its proof. 20,000 subjects, two
tenants, ten sessions each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from stepwatch.store.client import name_of, open_client
from stepwatch.store.migrate import migrate

BEGIN, END = "2026-01-01", "2027-01-01"
DAYS = 365
_ROWS_AT_ONCE = 40_000
_TRIES = 60

_WORLD = """
WITH
  number AS n, cityHash64(intDiv(n, 4), 'a') AS a, cityHash64(n, 'b') AS b, cityHash64(n, 'c') AS c,
  toDateTime64('{begin} 00:00:00', 6, 'UTC') + toIntervalMicrosecond(intDiv(n * 1000000000, {rows}) * {step_us}) AS t,
  a % 20000 AS who, concat('user-', toString(who)) AS subject,
  ['acme', 'umbrella'][1 + (who % 10 = 0)] AS tenant,
  concat('s-', toString(who), '-', toString(bitShiftRight(a, 20) % 10)) AS session,
  concat('203.0.', toString(who % 250), '.', toString(bitShiftRight(a, 30) % 4)) AS ip,
  concat('d-', toString(who), '-', if(n % 4 AND b % 1000 = 0, '9', '0')) AS device,
  concat('sha256:', lower(hex(c)), lower(hex(b))) AS transaction,
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36' AS agent
"""
_ACTIONS = """
INSERT INTO audit (
  tenant, subject, source, action_id, revision, time, arrival, decided_at, closes_at, session, action, resource_type,
  resource_id, sensitivity, outcome, client_ip, client_device, client_country, user_agent, policy, policy_version,
  trigger_reason, verdict, reason, failed, verification, verification_time, verification_age_ms, amr, acr, challenge,
  credential, decision_result, nearest_miss, kafka_topic, kafka_partition, kafka_offset, event_data, schema,
  engine_version
)
{world},
  b % 100 < 20 AS policed, bitShiftRight(b, 16) % 100 AS chance,
  policed AND (chance < 90 OR {revision} = 2) AS proved,
  ['payments.payout.approve', 'iam.policy.attach', 'secrets.key.export', 'db.table.drop'][1 + c % 4] AS high,
  ['docs.file.read', 'crm.contact.update', 'mail.message.send', 'tickets.issue.comment'][1 + c % 4] AS plain,
  if(policed, high, plain) AS action,
  ['payout', 'policy', 'key', 'table'][1 + c % 4] AS type,
  concat('r-', toString(bitShiftRight(c, 8) % 100000)) AS resource,
  ['stale', 'no_step_up', 'wrong_session', 'weak_factor'][1 + c % 4] AS why
SELECT
  tenant, subject, '/app', concat('01J', hex(c), lower(hex(a))), {revision}, t, t + 0.2, t + 0.25, t + 3610,
  session, action, type, resource, if(policed, 'high', 'low'), if(chance = 50, 'failure', 'success'),
  ip, device, 'DE', agent, if(policed, high, ''), if(policed, 'abcdefabcdef', ''), if(policed, 'money_movement', ''),
  multiIf(NOT policed, 'not_required', proved, 'verified', chance < 97, 'unverified', chance < 99, 'blind', 'exempt'),
  multiIf(NOT policed, 'no_policy', proved, 'step_up', chance < 97, why, chance < 99, 'source_silent', 'exemption'),
  if(policed AND NOT proved AND chance < 97, [why], []), if(proved, concat('v-', toString(intDiv(n, 4) * 4)), ''),
  if(proved, t - 30, NULL), if(proved, toInt64(c % 300000), NULL), if(proved, ['hwk', 'user'], []),
  if(proved, 'phr', ''), if(proved, concat('c-', lower(hex(c))), ''), if(proved, concat('cr-', toString(who)), ''),
  if(policed, 'required', ''),
  if(policed AND NOT proved AND chance < 97,
     concat('{{"verification":"v-1","failed":["', why, '"],"by_us":', toString(c % 90000000),
            ',"sentence":"security key tap ', toString(c % 90), ' s too old"}}'), ''),
  'stepwatch.actions', a % 4, intDiv(n, 4),
  if({revision} = 1,
     concat('{{"tenant":"', tenant, '","session":"', session, '","action":"', action, '","resource":{{"type":"', type,
            '","id":"', resource, '","sensitivity":"high"}},"outcome":"success","transaction":"', transaction,
            '","client":{{"ip":"', ip, '","device":"', device, '","user_agent":"', agent,
            '"}},"token":{{"acr":"phr","amr":["hwk","user"],"auth_time":', toString(toUnixTimestamp(t) - c % 3000),
            '}},"decision":{{"result":"required"}}}}'), ''),
  1, '0.1.0'
FROM numbers({first}, {count}) WHERE {revision} = 1 OR policed AND chance >= 90 AND chance < 91
"""
_PROOFS = """
INSERT INTO authentications (
  tenant, subject, source, event_id, type, time, arrival, proved_at, session, client_ip, client_device, client_country,
  user_agent, amr, acr, challenge, verification, credential, kafka_topic, kafka_partition, kafka_offset, event_data,
  schema
)
{world}
SELECT
  tenant, subject, '/idp', concat('e-', toString(n)), 'stepup.verified', t - 30, t - 29.8, t - 30, session, ip, device,
  'DE', agent, ['hwk', 'user'], 'phr', concat('c-', lower(hex(c))), concat('v-', toString(n)),
  concat('cr-', toString(who)), 'stepwatch.authentications', a % 4, intDiv(n, 4),
  concat('{{"tenant":"', tenant, '","session":"', session, '","challenge":"c-', lower(hex(c)),
         '","amr":["hwk","user"],"acr":"phr","credential":"cr-', toString(who), '","client":{{"ip":"', ip,
         '","device":"', device, '","user_agent":"', agent, '"}}}}'),
  1
FROM numbers({first}, {count}) WHERE n % 4 = 0
"""


@contextmanager
def clickhouse(inside: Path | None = None) -> Iterator[EmbeddedClickHouse]:
    """The embedded server on a folder that is gone afterwards.

    Args:
        inside: the folder in which its own is made; None: the system's for temporary files.
    """
    with TemporaryDirectory(prefix="stepwatch-bench-", dir=inside, ignore_cleanup_errors=True) as name:
        data = DataFolder(Path(name))
        with data.lock():
            server = EmbeddedClickHouse(data, port=ports.any_free())
            server.start()
            try:
                yield server
            finally:
                server.kill()


def owner_of(server: EmbeddedClickHouse) -> Client:
    """A client of its owner, with no database selected."""
    values = {
        "clickhouse_url": server.url,
        "clickhouse_user": server.user,
        "clickhouse_password": server.password,
    }
    return open_client(Settings(_env_file=None, **values), with_database=False, answer_timeout_s=600)  # type: ignore[call-arg, arg-type]


def fill(client: Client, database: str, rows: int) -> None:
    """Make our tables in a database, which is selected afterwards, and fill them with a year.

    Args:
        client: of the owner.
        database: one that the owner may make.
        rows: actions; second revisions and authentications come beside them.
    """
    migrate(client, database)
    for first in range(0, rows, _ROWS_AT_ONCE):
        count = min(_ROWS_AT_ONCE, rows - first)
        said = {"begin": BEGIN, "step_us": DAYS * 86_400 // 1000, "rows": rows, "first": first, "count": count}
        world = _WORLD.format(**said)
        _insert(client, _PROOFS.format(world=world, **said))
        for revision in (1, 2):
            _insert(client, _ACTIONS.format(world=world, revision=revision, **said))


def _insert(client: Client, sql: str) -> None:
    """Insert, and again where merges under way have taken the server's memory: a row that comes twice is one."""
    for _ in range(_TRIES):
        try:
            client.command(sql)
        except DatabaseError as error:
            if name_of(error) != "MEMORY_LIMIT_EXCEEDED":
                raise
            time.sleep(1)
        else:
            return
    raise RuntimeError(f"the server had no memory for an insert, {_TRIES} times")
