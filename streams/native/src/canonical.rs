//! An event so that two bodies that say the same are the same bytes: keys in order, no spaces, without its arrival.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::json::{Scanner, Value};
use crate::marks::Marks;

/// What `decode.body_hash` hashes, as msgspec writes it; None where only Python can say: escapes, fractions, no object.
#[pyfunction]
pub fn canonical<'py>(py: Python<'py>, value: &[u8]) -> Option<Bound<'py, PyBytes>> {
    write(value).map(|text| PyBytes::new(py, &text))
}

fn write(value: &[u8]) -> Option<Vec<u8>> {
    let mut marks = Marks::default();
    marks.find(value);
    let mut scanner = Scanner::new(value, &marks)?;
    let mut out = Vec::with_capacity(value.len());
    object(&mut scanner, &mut out, Some(b"arrival"))?;
    scanner.end()?;
    Some(out)
}

fn value(scanner: &mut Scanner, out: &mut Vec<u8>) -> Option<()> {
    match scanner.next()? {
        Value::Object => object(scanner, out, None),
        Value::Array => {
            out.push(b'[');
            scanner.array(|scanner| {
                value(scanner, out)?;
                out.push(b',');
                Some(())
            })?;
            close(out, b']');
            Some(())
        }
        Value::String => {
            string(scanner.string()?, out);
            Some(())
        }
        Value::Word(word) => {
            out.extend_from_slice(word);
            Some(())
        }
        // Of a fraction, and of -0, Python writes what it has read, which need not be what stood there.
        Value::Number(number) => {
            if number == b"-0" || number.contains(&b'.') {
                return None;
            }
            out.extend_from_slice(number);
            Some(())
        }
    }
}

/// An object; its member `without` is left out.
fn object(scanner: &mut Scanner, out: &mut Vec<u8>, without: Option<&[u8]>) -> Option<()> {
    let begin = out.len();
    let mut members: Vec<(&[u8], Range<usize>)> = Vec::with_capacity(16);
    scanner.object(|scanner, key| {
        let start = out.len();
        value(scanner, out)?;
        members.push((key, start - begin..out.len() - begin));
        Some(())
    })?;
    // A stable order: of a key that is given twice the last counts, as in Python.
    members.sort_by_key(|(key, _)| *key);
    let values = out.split_off(begin);
    out.push(b'{');
    for (index, (key, range)) in members.iter().enumerate() {
        let is_last_of_its_name = members.get(index + 1).is_none_or(|(next, _)| next != key);
        if is_last_of_its_name && without != Some(*key) {
            string(key, out);
            out.push(b':');
            out.extend_from_slice(&values[range.clone()]);
            out.push(b',');
        }
    }
    close(out, b'}');
    Some(())
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn close(out: &mut Vec<u8>, bracket: u8) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_spaces_and_the_arrival_gone() {
        for (text, wanted) in [
            ("{}", "{}"),
            ("{\"arrival\":1}", "{}"),
            (r#"{"b":1,"a":[ ]}"#, r#"{"a":[],"b":1}"#),
            (r#" {"a": {"c":null,"arrival":[1 , true]}, "arrival":"x" } "#, r#"{"a":{"arrival":[1,true],"c":null}}"#),
            (r#"{"a":1,"b":2,"a":[{},{"z":false}]}"#, r#"{"a":[{},{"z":false}],"b":2}"#),
            ("{\"é\":\"ü\u{7f}\",\"z\":\",\"}", "{\"z\":\",\",\"é\":\"ü\u{7f}\"}"),
            (r#"{"a":-12,"a1":"]","":0}"#, r#"{"":0,"a":-12,"a1":"]"}"#),
        ] {
            assert_eq!(write(text.as_bytes()).map(|out| String::from_utf8(out).unwrap()).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn what_python_may_write_otherwise_is_left_to_it() {
        for text in [r#"{"a":1.0}"#, r#"{"a":-0}"#, r#"{"a":"\n"}"#, r#"{"\u0061":1}"#, "[]", "{", "{} x", ""] {
            assert!(write(text.as_bytes()).is_none(), "{text}");
        }
    }
}
