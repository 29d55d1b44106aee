//! JSON (RFC 8259) as strict as it can be read: what is not clearly right is `None`, and Python decides about it.
//!
//! Nothing is built: strings are parts of the text, and what nobody asks for is checked and skipped.

use std::ops::Range;

use crate::marks::{Marks, Walk};

/// Objects and arrays that one event may hold in all: so none can be nested deeper than `limits.EVENT_DEPTH_MAX`.
pub const EVENT_DEPTH_MAX: u32 = 16;
/// The libraries of Python disagree about numbers that 64 bits do not hold; these have fewer characters.
const NUMBER_CHARS_MAX: usize = 18;

/// What stands next: a string, an object and an array are still to be read.
pub enum Value<'a> {
    Object,
    Array,
    String,
    /// `true`, `false` or `null`.
    Word(&'a [u8]),
    Number(&'a [u8]),
}

/// Reads one text from its beginning to its end.
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Goes over the marks that are not read yet, and perhaps some that are.
    marks: Walk<'a>,
    opened: u32,
}

impl<'a> Scanner<'a> {
    /// Begin; None where the text is no UTF-8. The marks must be its own.
    pub fn new(text: &'a [u8], marks: &'a Marks) -> Option<Self> {
        std::str::from_utf8(text).ok()?;
        Some(Self { text, at: 0, marks: marks.from(0), opened: 0 })
    }

    /// Read an object, calling `member` after each key to read the value that follows; returned is where it stands.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<Range<usize>> {
        self.open(b'{')?;
        let start = self.at - 1;
        if self.peek()? != b'}' {
            loop {
                let key = self.string()?;
                self.expect(b':')?;
                member(self, key)?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b'}')?;
        Some(start..self.at)
    }

    /// Read a string of which nothing is escaped: what it says is what stands there.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.mark()?;
        if self.text[end] != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(&self.text[start..end])
    }

    /// Read any string, and keep nothing of it.
    pub fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let end = self.mark()?;
            self.at = end + 1;
            match self.text[end] {
                b'"' => return Some(()),
                b'\\' => self.at += escape(&self.text[self.at..])?,
                _ => return None,
            }
        }
    }

    /// Read `null` where it stands next.
    pub fn null(&mut self) -> Option<bool> {
        if self.peek()? != b'n' {
            return Some(false);
        }
        self.word(b"null").map(|()| true)
    }

    /// Read the value that stands next as far as `Value` says.
    pub fn next(&mut self) -> Option<Value<'a>> {
        let start = self.peek().map(|_| self.at)?;
        match self.text[start] {
            b'"' => return Some(Value::String),
            b'{' => return Some(Value::Object),
            b'[' => return Some(Value::Array),
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => return self.number().map(Value::Number),
        }
        Some(Value::Word(&self.text[start..self.at]))
    }

    /// Read any value, and keep nothing of it.
    pub fn skip(&mut self) -> Option<()> {
        match self.next()? {
            Value::String => self.skip_string(),
            Value::Object => self.object(|scanner, _| scanner.skip()).map(drop),
            Value::Array => self.array(Self::skip),
            Value::Word(_) | Value::Number(_) => Some(()),
        }
    }

    /// Read an array, calling `item` to read each of its values.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[')?;
        if self.peek()? != b']' {
            loop {
                item(self)?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b']')
    }

    /// Nothing but space is left.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// The next byte that is no space; it is not read yet.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The place of the next mark: where the string at hand ends, or needs a look.
    fn mark(&mut self) -> Option<usize> {
        loop {
            let place = self.marks.next()?;
            if place >= self.at {
                return Some(place);
            }
        }
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.expect(bracket)?;
        self.opened += 1;
        (self.opened <= EVENT_DEPTH_MAX).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?`: a power of ten behind it may lead anywhere, so it is no number here.
    fn number(&mut self) -> Option<&'a [u8]> {
        let bytes = &self.text[self.at..];
        let mut length = usize::from(bytes[0] == b'-');
        let digits = digits(&bytes[length..])?;
        if digits > 1 && bytes[length] == b'0' {
            return None;
        }
        length += digits;
        if bytes.get(length) == Some(&b'.') {
            length += 1;
            length += self::digits(&bytes[length..])?;
        }
        if length > NUMBER_CHARS_MAX || matches!(bytes.get(length), Some(b'e' | b'E')) {
            return None;
        }
        self.at += length;
        Some(&bytes[..length])
    }
}

/// How many bytes an escape has behind its backslash.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(1),
        // \ud800 to \udfff come in pairs or are none; who writes them is left to Python.
        [b'u', b'd' | b'D', ..] => None,
        [b'u', hex @ ..] if hex.first_chunk::<4>()?.iter().all(u8::is_ascii_hexdigit) => Some(5),
        _ => None,
    }
}

fn digits(bytes: &[u8]) -> Option<usize> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, read: fn(&mut Scanner) -> Option<()>) -> bool {
        let mut marks = Marks::default();
        marks.find(text.as_bytes());
        let mut scanner = Scanner::new(text.as_bytes(), &marks).unwrap();
        read(&mut scanner).and_then(|()| scanner.end()).is_some()
    }

    fn is_read(text: &str) -> bool {
        read(text, |scanner| scanner.skip())
    }

    #[test]
    fn what_the_rfc_allows_is_read() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.50",
            "123456789012345678",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t\u00e9\uABCF""#,
            "\"é😀\u{7f}\u{2028}\"",
            r#"{"a":[1,{"b":null}],"":"x"}"#,
            "\t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } ",
            r#""exactly eight, and sixteen bytes""#,
            r#"["\\","\"",""]"#,
        ] {
            assert!(is_read(text), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_allow_is_not() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{]",
            "[}",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\",1}",
            "1 2",
            "nul",
            "nulll",
            "True",
            "NaN",
            "Infinity",
            "-",
            "+1",
            "01",
            "-01",
            "1.",
            ".5",
            "0x1",
            "\"",
            "\"a",
            "\"\\\"",
            r#""\x41""#,
            r#""\u12""#,
            r#""\u12G4""#,
            "\"\n\"",
            "\"\0\"",
            "\"\u{1f}\"",
            "'a'",
            "\u{feff}{}",
            "{}{}",
            "\"eight by\u{1}tes\"",
            "{} x",
            "\u{b}{}",
            "\u{a0}{}",
            "\"\\",
        ] {
            assert!(!is_read(text), "{text}");
        }
    }

    #[test]
    fn what_python_might_read_otherwise_is_left_to_it() {
        for text in [
            "1e3",
            "1E-2",
            "1.5e0",
            "1234567890123456789",
            "-123456789012345678",
            "0.12345678901234567",
            r#""\ud83d""#,
            r#""\uDFFF""#,
            r#"{"\u0061":1}"#,
            r#"{"a\n":1}"#,
        ] {
            assert!(!is_read(text), "{text}");
        }
    }

    #[test]
    fn sixteen_objects_and_arrays_are_read_and_one_more_is_not() {
        assert!(is_read(&format!("{}{}", "[".repeat(16), "]".repeat(16))));
        assert!(!is_read(&format!("{}{}", "[".repeat(17), "]".repeat(17))));
        assert!(is_read(&format!("[{}[]]", "[],".repeat(14))));
        assert!(!is_read(&format!("[{}[]]", "[],".repeat(15))));
        assert!(is_read(&format!("\"{}\"", "[{".repeat(99))));
    }

    #[test]
    fn a_string_that_is_kept_holds_no_escape() {
        assert!(read("\"zoë\"", |scanner| (scanner.string()? == "zoë".as_bytes()).then_some(())));
        assert!(!read("\"z\\n\"", |scanner| scanner.string().map(drop)));
        assert!(!read("\"z\n\"", |scanner| scanner.string().map(drop)));
    }
}
