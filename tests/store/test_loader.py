"""A batch goes in whole, and a row that ClickHouse refuses cannot stop the others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from stepwatch.store.client import NotClickHouse, Trouble, open_client, trouble_of
from stepwatch.store.loader import Loader
from tests.faults.http_proxy import HttpProxy, says
from tests.servers import ClickHouseSettings
from tests.store.conftest import settings_of
from tests.store.rows import audit, load, select

BAD = {
    "no time": audit("bad", time=""),
    "cut off": audit("bad")[:-20] + b"}",
    "text for a number": audit("bad").replace(b'"revision": 1', b'"revision": "one"'),
    "not UTF-8 around a key": b"{\xff\xfe}",
    "a list": b"[" + audit("bad") + b"]",
    "empty": b"",
    "an open text": b'{"tenant":"acme","subject":"}',
}


class Lying:
    """A client whose server names the wrong row: the message is rewritten, all else is real."""

    def __init__(self, client: Client, row: str) -> None:
        self._client = client
        self._row = row
        self.server_settings = client.server_settings

    def raw_query(self, *args: Any, **options: Any) -> Any:
        return self._client.raw_query(*args, **options)

    def raw_insert(self, *args: Any, **options: Any) -> Any:
        try:
            return self._client.raw_insert(*args, **options)
        except DatabaseError as error:
            said = re.sub(r"\(at row \d+\)", self._row, str(error))
            raise DatabaseError(said, name=error.name) from error


def batch(bad: dict[int, bytes], count: int = 200) -> list[bytes]:
    """Good rows a0, a1, … with bad ones at some places."""
    return [bad.get(n, audit(f"a{n}")) for n in range(count)]


def stored(db: Client) -> set[str]:
    return {row[0] for row in select(db, "SELECT action_id FROM audit_current")}


def test_a_batch_without_fault_is_one_insert(db: Client) -> None:
    assert load(db, "audit", *batch({})).inserts == 1
    assert len(stored(db)) == 200


@pytest.mark.parametrize("place", [0, 1, 100, 198, 199])
def test_one_bad_row_of_200_is_refused_alone(db: Client, place: int) -> None:
    loaded = Loader(db).load("audit", batch({place: BAD["no time"]}))
    assert [refusal.index for refusal in loaded.refusals] == [place]
    assert "DateTime" in loaded.refusals[0].words
    assert loaded.rows == 199
    assert stored(db) == {f"a{n}" for n in range(200) if n != place}
    # The batch, the row that was named, what lies before it, what lies after it.
    assert loaded.inserts <= 4


@pytest.mark.parametrize("places", [(0, 1, 2), (3, 100, 199), (197, 198, 199)])
def test_three_bad_rows_of_200_are_refused_alone(db: Client, places: tuple[int, int, int]) -> None:
    bad = dict(zip(places, [BAD["no time"], BAD["cut off"], BAD["text for a number"]], strict=True))
    loaded = Loader(db).load("audit", batch(bad))
    assert [refusal.index for refusal in loaded.refusals] == list(places)
    assert stored(db) == {f"a{n}" for n in range(200) if n not in places}
    assert loaded.inserts <= 12


@pytest.mark.parametrize("what", BAD)
def test_every_kind_of_bad_row_is_refused_and_nothing_else(db: Client, what: str) -> None:
    loaded = Loader(db).load("audit", batch({2: BAD[what]}, 5))
    assert [refusal.index for refusal in loaded.refusals] == [2]
    assert stored(db) == {"a0", "a1", "a3", "a4"}


@pytest.mark.parametrize("lie", ["(at row 1)", "(at row 150)", "(at row 999)", "(at row 0)", "", "(at row x)"])
def test_a_server_that_names_the_wrong_row_costs_inserts_and_no_rows(db: Client, lie: str) -> None:
    bad = {17: BAD["no time"], 18: BAD["no time"], 160: BAD["cut off"]}
    loaded = Loader(Lying(db, lie)).load("audit", batch(bad))  # type: ignore[arg-type]
    assert [refusal.index for refusal in loaded.refusals] == [17, 18, 160]
    assert stored(db) == {f"a{n}" for n in range(200) if n not in bad}
    # Halving: two parts for each of three rows on each of eight levels.
    assert loaded.inserts <= 60


def test_a_batch_of_nothing_but_bad_rows_ends(db: Client) -> None:
    loaded = Loader(db).load("audit", [BAD["no time"]] * 9)
    assert [refusal.index for refusal in loaded.refusals] == list(range(9))
    assert stored(db) == set()


def test_trouble_that_is_not_in_the_rows_is_raised_and_named(db: Client) -> None:
    db.command("DROP TABLE audit_to_latest")
    db.command("DROP TABLE audit")
    with pytest.raises(DatabaseError) as caught:
        Loader(db).load("audit", batch({}, 3))
    assert trouble_of(caught.value) is Trouble.SETUP


def test_rows_that_something_else_took_are_not_taken_for_stored(db: Client, clickhouse: ClickHouseSettings) -> None:
    with HttpProxy(clickhouse.port) as proxy:
        client = open_client(settings_of(clickhouse).model_copy(update={"clickhouse_url": proxy.url}))
        proxy.fault = says(200, "<html>back soon</html>")
        with pytest.raises(NotClickHouse):
            Loader(client).load("audit", batch({}, 3))
        client.close()
    assert stored(db) == set()


def test_a_profile_that_passes_over_bad_rows_makes_none_vanish(db: Client, clickhouse: ClickHouseSettings) -> None:
    client = open_client(settings_of(clickhouse))
    client.set_client_setting("input_format_allow_errors_num", 10)
    loaded = Loader(client).load("audit", batch({1: BAD["no time"]}, 3))
    client.close()
    assert [refusal.index for refusal in loaded.refusals] == [1]
