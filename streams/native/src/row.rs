//! The audit row of a plain action, byte for byte as `stepwatch.streams.rows.plain_row` writes it.

use std::ops::Range;

use crate::event::Action;
use crate::marks::Marks;
use crate::times::Shown;

/// What the event itself does not say of its row.
pub struct Judged<'a> {
    /// The event as it was sent, and its marks.
    pub text: &'a [u8],
    pub marks: &'a Marks,
    pub tenant: &'a [u8],
    pub subject: &'a [u8],
    pub sensitivity: &'a [u8],
    pub time: Shown,
    pub arrival: Shown,
    pub offset: i64,
}

/// Append the row; of all strings only `data` may hold what needs an escape.
pub fn write(out: &mut Vec<u8>, action: &Action, judged: &Judged, rest: &[u8]) {
    let (client, resource, decision) = (&action.client, &action.resource, &action.decision);
    column(out, br#"{"tenant":""#, judged.tenant);
    column(out, br#"","subject":""#, judged.subject);
    column(out, br#"","on_behalf_of":""#, action.on_behalf_of);
    column(out, br#"","source":""#, action.source);
    column(out, br#"","action_id":""#, action.id);
    column(out, br#"","time":""#, &judged.time);
    column(out, br#"","arrival":""#, &judged.arrival);
    column(out, br#"","closes_at":""#, &judged.arrival);
    column(out, br#"","session":""#, action.session);
    column(out, br#"","root_session":""#, action.root_session);
    column(out, br#"","action":""#, action.action);
    column(out, br#"","resource_type":""#, resource.kind);
    column(out, br#"","resource_id":""#, resource.id);
    column(out, br#"","sensitivity":""#, judged.sensitivity);
    column(out, br#"","outcome":""#, outcome_of(action.outcome));
    column(out, br#"","client_ip":""#, client.ip);
    column(out, br#"","client_device":""#, client.device);
    column(out, br#"","client_country":""#, client.country);
    column(out, br#"","user_agent":""#, client.user_agent);
    column(out, br#"","challenge":""#, action.challenge);
    column(out, br#"","decision_result":""#, decision.result);
    column(out, br#"","decision_reason":""#, decision.reason);
    column(out, br#"","claimed_verification":""#, action.verification);
    out.extend_from_slice(br#"","kafka_offset":"#);
    write_number(out, judged.offset);
    out.extend_from_slice(br#","event_data":""#);
    write_escaped(out, judged.text, action.data.clone(), judged.marks);
    out.push(b'"');
    out.extend_from_slice(rest);
}

/// The name's length is known when this is compiled, so a few moves write it.
fn column<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

/// `success` by default; what is no known outcome is `unknown`.
fn outcome_of(said: &[u8]) -> &[u8] {
    match said {
        b"" => b"success",
        b"success" | b"failure" | b"denied" => said,
        _ => b"unknown",
    }
}

fn write_number(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    while first == digits.len() || rest > 0 {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[first..]);
}

/// Append a part of a JSON text as the inside of a JSON string.
fn write_escaped(out: &mut Vec<u8>, text: &[u8], part: Range<usize>, marks: &Marks) {
    let mut from = part.start;
    for mark in marks.from(part.start).take_while(|mark| *mark < part.end) {
        copy(out, text, from..mark);
        // Of control characters JSON has only those of its space.
        let shown = match text[mark] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            byte => byte,
        };
        out.extend_from_slice(&[b'\\', shown]);
        from = mark + 1;
    }
    copy(out, text, from..part.end);
}

/// Append a part of a text. Quotes come every few bytes, and to move a fixed length and take back what was too much
/// costs less than to move the right one.
#[inline(always)]
fn copy(out: &mut Vec<u8>, text: &[u8], part: Range<usize>) {
    const RUN: usize = 16;
    let end = out.len() + part.len();
    match text[part.start..].first_chunk::<RUN>() {
        Some(run) if part.len() <= RUN => out.extend_from_slice(run),
        _ => out.extend_from_slice(&text[part]),
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_shown_everywhere() {
        for number in [0, 1, 9, 10, 123_456, i64::MAX, i64::MIN, -1] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn quotes_backslashes_and_space_are_escaped_and_nothing_else_is() {
        let text = "{ \"é\\n\" :\t1\r\n, \"more than sixteen bytes\"}\u{7f}".repeat(9);
        let mut marks = Marks::default();
        marks.find(text.as_bytes());
        for part in [0..text.len(), 1..text.len() - 1, 5..5, 40..57] {
            let mut out = b"before".to_vec();
            write_escaped(&mut out, text.as_bytes(), part.clone(), &marks);
            let mut expected = b"before".to_vec();
            for byte in &text.as_bytes()[part] {
                match byte {
                    b'\n' => expected.extend(b"\\n"),
                    b'\r' => expected.extend(b"\\r"),
                    b'\t' => expected.extend(b"\\t"),
                    b'"' | b'\\' => expected.extend([b'\\', *byte]),
                    _ => expected.push(*byte),
                }
            }
            assert_eq!(out, expected);
        }
    }
}
