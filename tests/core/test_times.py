"""RFC 3339 with a zone, years 1970 to 2261, one microsecond (contract, preamble and section 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.schemas.times import SECOND_US, TIME_END_US, format_time, parse_time

NINE_US = 1_795_510_800_000_000
"""2026-11-24T09:00:00Z"""


def test_a_time_in_utc_is_read_to_the_microsecond() -> None:
    assert parse_time("2026-11-24T09:00:00Z") == NINE_US
    assert parse_time("2026-11-24T09:00:00.000001Z") == NINE_US + 1
    assert parse_time("2026-11-24T09:00:00.1Z") == NINE_US + 100_000


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T14:30:00+05:30",
        "2026-11-23T19:00:00-14:00",
        "2026-11-24T09:00:00+00:00",
        "2026-11-24T09:00:00-00:00",
        "2026-11-25T08:59:00+23:59",
        "2026-11-23T09:01:00-23:59",
        "2026-11-24t09:00:00z",
    ],
)
def test_any_offset_and_either_case_names_the_same_moment(text: str) -> None:
    assert parse_time(text) == NINE_US


@pytest.mark.parametrize("zone", ["Z", "+00:00", "z"])
def test_digits_past_the_sixth_are_cut_and_never_rounded(zone: str) -> None:
    assert parse_time(f"2026-11-24T09:00:00.123456{zone}") == NINE_US + 123_456
    assert parse_time(f"2026-11-24T09:00:00.1234569{zone}") == NINE_US + 123_456
    assert parse_time(f"2026-11-24T09:00:00.{'9' * 300}{zone}") == NINE_US + 999_999


@pytest.mark.parametrize(
    ("text", "second_after"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T18:59:60-05:00", "2017-01-01T00:00:00Z"),
        ("2017-01-01T05:29:60+05:30", "2017-01-01T00:00:00Z"),
        ("2026-11-24T23:59:60.5Z", "2026-11-25T00:00:00.5Z"),
    ],
)
def test_a_leap_second_at_the_end_of_a_day_in_utc_is_the_next_second(text: str, second_after: str) -> None:
    assert parse_time(text) == parse_time(second_after) is not None


@pytest.mark.parametrize(
    "text",
    ["2026-11-24T23:58:60Z", "2026-11-24T22:59:60Z", "2026-11-24T23:59:60+01:00", "2026-11-24T23:59:61Z"],
)
def test_a_sixtieth_second_anywhere_else_is_no_time(text: str) -> None:
    parse_time("2026-11-24T23:58:00Z")  # a minute that is known already must not let it through
    parse_time("2026-11-24T22:59:00Z")
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("1969-12-31T23:59:59.999999Z", None),
        ("1970-01-01T00:59:59.999999+01:00", None),
        ("2261-12-31T23:59:59.999999Z", TIME_END_US - 1),
        ("2262-01-01T00:59:59.999999+01:00", TIME_END_US - 1),
        ("2262-01-01T00:00:00Z", None),
        ("2261-12-31T23:59:60Z", None),
        ("2261-12-31T22:59:60-01:00", None),
        ("2261-12-31T23:00:00-01:00", None),
        ("0000-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_years_are_1970_to_2261_to_the_last_microsecond_in_utc(text: str, expected_us: int | None) -> None:
    parse_time(text[:17] + "00Z")  # its minute is known already
    assert parse_time(text) == expected_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-24",
        "2026-11-24T09:00Z",
        "2026-11-24T09:00:00",
        "2026-11-24 09:00:00Z",
        "2026-11-24T09:00:00 Z",
        " 2026-11-24T09:00:00Z",
        "2026-11-24T09:00:00Z\n",
        "2026-11-24T09:00:00.Z",
        "2026-11-24T09:00:00,5Z",
        "2026-11-24T09:00:0Z",
        "2026-11-24T09:00:+5Z",
        "2026-11-24T09:00: 5Z",
        "2026-11-24T09:00:00.1_0Z",
        "2026-11-24T09:00:00.-1Z",
        "2026-11-24T09:00:00.1.2Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T09:60:00Z",
        "2026-11-24T09:00:00+24:00",
        "2026-11-24T09:00:00+05:60",
        "2026-11-24T09:00:00+0530",
        "2026-11-24T09:00:00+05",
        "2026-11-24T09:00:00UTC",
        "2026-13-01T09:00:00Z",
        "2026-00-01T09:00:00Z",
        "2026-02-29T09:00:00Z",
        "2026-04-31T09:00:00Z",
        "2026-W48-2T09:00:00Z",
        "+2026-11-24T09:00:00Z",
        "26-11-24T09:00:00Z",
        "２０２６-11-24T09:00:00Z",
        "2026-11-24T09:00:０0Z",
        "2026-11-24T09:00:00.²Z",
        "2026-11-24T09:00:00.٣Z",
        "2026-11-24T09:00:00−05:00",
        "1795510800",
    ],
)
def test_what_is_not_rfc_3339_with_a_zone_is_no_time(text: str) -> None:
    parse_time("2026-11-24T09:00:00Z")  # a minute that is known already must not let it through
    assert parse_time(text) is None


def test_the_29th_of_february_is_a_day_in_leap_years_only() -> None:
    assert parse_time("2028-02-29T00:00:00Z") is not None
    assert parse_time("2000-02-29T00:00:00Z") is not None
    assert parse_time("2100-02-29T00:00:00Z") is None


@given(
    st.datetimes(datetime(1970, 1, 3), datetime(2261, 12, 29)),
    st.integers(-1439, 1439),
    st.integers(0, 999),
)
def test_a_time_is_what_the_calendar_says_whatever_its_offset(
    moment: datetime, offset_minutes: int, digits_more: int
) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    expected_us = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    local = moment.isoformat(timespec="microseconds")
    sign = "-" if offset_minutes < 0 else "+"
    hours, minutes = divmod(abs(offset_minutes), 60)
    assert parse_time(f"{local}{digits_more:03}{sign}{hours:02}:{minutes:02}") == expected_us


@given(st.integers(0, TIME_END_US - 1))
def test_a_time_that_is_written_is_read_back_and_has_six_digits_and_a_z(time_us: int) -> None:
    text = format_time(time_us)
    assert len(text) == len("2026-11-24T09:00:00.000000Z")
    assert text.endswith("Z")
    assert parse_time(text) == time_us
    assert parse_time(text) == time_us, "the second reading goes by the minute that is known now"


@given(st.text(alphabet="0123456789-:.TZz+ t", max_size=30))
def test_no_text_makes_reading_a_time_fail(text: str) -> None:
    time_us = parse_time(text)
    assert time_us is None or 0 <= time_us < TIME_END_US


@pytest.mark.parametrize(
    "text",
    ["{}", "{}Z.5Z", "{}.5", "{}.Z", "{}.500", "{}.5ZZ", "{}.\u0661Z", "{}.+5Z", "{}.5_0Z", "{}.000Z ", "{}.123z\n"],
)
def test_a_second_that_is_known_already_lets_nothing_wrong_through(text: str) -> None:
    assert parse_time("2026-11-24T09:00:00.5Z") == NINE_US + 500_000
    assert parse_time(text.format("2026-11-24T09:00:00")) is None


def test_more_minutes_than_are_remembered_are_still_read_right() -> None:
    for minute in range(5_000):
        assert parse_time(format_time(NINE_US + minute * 60 * SECOND_US)) == NINE_US + minute * 60 * SECOND_US
