//! RFC 3339 times as microseconds since 1970, and back: `stepwatch.schemas.times` without its rare forms.

const SECOND_US: i64 = 1_000_000;
const MINUTE_S: i64 = 60;
const DAY_S: i64 = 24 * 60 * MINUTE_S;

/// The first moment that no event may have: years 1970 to 2261 (contract section 3).
pub const TIME_END_US: i64 = 106_651 * DAY_S * SECOND_US;

/// A time as every row shows it: UTC, six fractional digits and `Z`.
pub type Shown = [u8; 27];

/// The moment of `YYYY-MM-DDTHH:MM:SS[.digits](Z|+hh:mm|-hh:mm)`; digits past the sixth are cut.
///
/// None for every other form (small letters, the leap second 60), for what is no date, and outside 1970 to 2261:
/// some of that is a time all the same, which the caller leaves to Python.
pub fn parse(text: &[u8]) -> Option<i64> {
    let (date_time, rest) = text.split_first_chunk::<19>()?;
    let number = |from: usize, digits: usize| digits_of(&date_time[from..from + digits]);
    let separators = [date_time[4], date_time[7], date_time[10], date_time[13], date_time[16]];
    if &separators != b"--T::" {
        return None;
    }
    let days = days_of(number(0, 4)?, number(5, 2)?, number(8, 2)?)?;
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_us, zone) = fraction_of(rest)?;
    let minutes = hour * 60 + minute - zone_minutes_of(zone)?;
    let time_us = (days * DAY_S + minutes * MINUTE_S + second) * SECOND_US + fraction_us;
    (0..TIME_END_US).contains(&time_us).then_some(time_us)
}

/// A time as rows show it.
///
/// `time_us` must be from 0 to before `TIME_END_US`.
pub fn show(time_us: i64) -> Shown {
    debug_assert!((0..TIME_END_US).contains(&time_us));
    let (seconds, fraction) = (time_us / SECOND_US, time_us % SECOND_US);
    // From here on 32 bits hold every number, and are divided faster.
    let (day, second) = ((seconds / DAY_S) as u32, (seconds % DAY_S) as u32);
    let fraction = fraction as u32;
    let (year, month, day) = date_of(day);
    let mut shown = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (2, year / 100),
        (4, year % 100),
        (7, month),
        (10, day),
        (13, second / 3600),
        (16, second / 60 % 60),
        (19, second % 60),
        (22, fraction / 10_000),
        (24, fraction / 100 % 100),
        (26, fraction % 100),
    ];
    for (end, part) in parts {
        shown[end - 2] += (part / 10) as u8;
        shown[end - 1] += (part % 10) as u8;
    }
    shown
}

fn digits_of(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// The microseconds of `.digits`, if there are any, and what follows them.
fn fraction_of(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', text)) = text.split_first() else {
        return Some((0, text));
    };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = text.split_at(length);
    let kept = &digits[..length.min(6)];
    if kept.is_empty() {
        return None;
    }
    let scale = 10_i64.pow(6 - kept.len() as u32);
    Some((digits_of(kept)? * scale, zone))
}

/// How many minutes a zone is ahead of UTC.
fn zone_minutes_of(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), hour @ .., b':', m1, m2] if hour.len() == 2 => {
            let (hours, minutes) = (digits_of(hour)?, digits_of(&[*m1, *m2])?);
            let sign = if *sign == b'-' { -1 } else { 1 };
            (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
        }
        _ => None,
    }
}

/// Days since 1970 of a date of the Gregorian calendar; None where there is no such date, or a year before 1969.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    // 1969 ends in time for a zone behind UTC to begin 1970.
    if year < 1969 || day < 1 || day > last {
        return None;
    }
    // Years that begin in March have the leap day at their end, and months of 153 days for five.
    let march_year = year - i64::from(month <= 2);
    let march_month = (month + 9) % 12;
    let leaps = march_year / 4 - march_year / 100 + march_year / 400;
    Some(march_year * 365 + leaps + (153 * march_month + 2) / 5 + day - 1 - 719_468)
}

/// Year, month and day of a number of days since 1970, from 0.
fn date_of(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(time_us: i64) -> String {
        String::from_utf8(show(time_us).to_vec()).unwrap()
    }

    #[test]
    fn every_day_from_1970_to_2261_comes_back_as_it_was_shown() {
        for day in 0..TIME_END_US / SECOND_US / DAY_S {
            let time_us = (day * DAY_S + day % DAY_S) * SECOND_US + day;
            assert_eq!(parse(shown(time_us).as_bytes()), Some(time_us));
        }
    }

    #[test]
    fn the_first_and_the_last_moment_are_read_and_their_neighbours_are_not() {
        assert_eq!(parse("1970-01-01T00:00:00Z".as_bytes()), Some(0));
        assert_eq!(parse("1969-12-31T23:59:59.999999Z".as_bytes()), None);
        assert_eq!(parse("1969-12-31T23:59:00-00:01".as_bytes()), Some(0));
        assert_eq!(parse("2261-12-31T23:59:59.9999999Z".as_bytes()), Some(TIME_END_US - 1));
        assert_eq!(parse("2262-01-01T00:00:00Z".as_bytes()), None);
        assert_eq!(parse("2262-01-01T00:00:00+00:01".as_bytes()), Some(TIME_END_US - 60 * SECOND_US));
    }

    #[test]
    fn what_is_no_date_or_of_another_form_is_left_alone() {
        for text in [
            "",
            "2026-11-24",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-04-00T00:00:00Z",
            "2026-11-24t09:00:00Z",
            "2026-11-24T09:00:00z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T09:60:00Z",
            "2026-11-24T23:59:60Z",
            "2026-11-24T09:00:00",
            "2026-11-24T09:00:00.Z",
            "2026-11-24T09:00:00.1",
            "2026-11-24T09:00:00+0100",
            "2026-11-24T09:00:00+24:00",
            "2026-11-24T09:00:00+23:60",
            "2026-11-24T09:00:00+1:00",
            "2026-11-24T09:00:00+001:00",
            "2026-11-24T09:00:00ZZ",
            "2026-11-24T0é:00:00Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn zones_and_fractions_of_any_length_are_read() {
        assert_eq!(parse("1970-01-02T00:30:00.5+23:59".as_bytes()), Some(31 * 60 * SECOND_US + SECOND_US / 2));
        assert_eq!(parse("1970-01-01T00:00:00.000001999999999999999999Z".as_bytes()), Some(1));
        assert_eq!(parse("2024-02-29T00:00:00.100Z".as_bytes()), Some(1_709_164_800_100_000));
    }
}
