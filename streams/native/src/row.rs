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
    // Room for as many escapes as there may be, and for the bytes that a short run is copied with.
    let mut end = out.len();
    out.resize(end + 2 * part.len() + RUN, 0);
    let mut from = part.start;
    for mark in marks.from(part.start).take_while(|mark| *mark < part.end) {
        end += copy(&mut out[end..], text, from..mark);
        // Of control characters JSON has only those of its space.
        let shown = match text[mark] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            byte => byte,
        };
        out[end..end + 2].copy_from_slice(&[b'\\', shown]);
        end += 2;
        from = mark + 1;
    }
    end += copy(&mut out[end..], text, from..part.end);
    out.truncate(end);
}

const RUN: usize = 16;

/// Copy a part of a text, and perhaps some bytes more; how many are meant.
#[inline(always)]
fn copy(out: &mut [u8], text: &[u8], part: Range<usize>) -> usize {
    // Quotes come every few bytes: a move of a fixed length costs less than one of the right length.
    match (out.first_chunk_mut(), text[part.start..].first_chunk::<RUN>()) {
        (Some(room), Some(run)) if part.len() <= RUN => *room = *run,
        _ => out[..part.len()].copy_from_slice(&text[part.clone()]),
    }
    part.len()
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
