//! JSON (RFC 8259) as strict as it can be read: what is not clearly right is `None`, and Python decides about it.
//!
//! Nothing is built: strings are slices of the text, and what nobody asks for is checked and skipped.

use std::ops::Range;

use crate::marks::Marks;

/// Objects and arrays that one event may hold in all: so none can be nested deeper than `limits.EVENT_DEPTH_MAX`.
pub const EVENT_DEPTH_MAX: u32 = 16;
/// The libraries of Python disagree about numbers that 64 bits do not hold; these have fewer characters.
const NUMBER_CHARS_MAX: usize = 18;

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What it says; None where escapes would have to be read for that.
    pub fn said(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }
}

/// Reads one text from its beginning to its end.
pub struct Scanner<'a> {
    text: &'a str,
    marks: &'a Marks,
    at: usize,
    opened: u32,
}

impl<'a> Scanner<'a> {
    /// Begin; None where the bytes are no UTF-8. The marks must be theirs.
    pub fn new(bytes: &'a [u8], marks: &'a Marks) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Self {
            text,
            marks,
            at: 0,
            opened: 0,
        })
    }

    /// Read an object, calling `member` after each key to read the value that follows; returned is where it stands.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<Range<usize>> {
        self.open(b'{')?;
        let start = self.at - 1;
        if self.peek()? != b'}' {
            loop {
                let key = self.string()?.said()?;
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

    /// Read a string.
    pub fn string(&mut self) -> Option<Text<'a>> {
        self.expect(b'"')?;
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let mut escaped = false;
        loop {
            self.at = self.marks.next(self.at);
            match *bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += escape(&bytes[self.at + 1..])? + 1;
                }
                _ => return None,
            }
        }
        let raw = self.text.get(start..self.at)?;
        self.at += 1;
        Some(Text { raw, escaped })
    }

    /// Read `null` where it stands next.
    pub fn null(&mut self) -> Option<bool> {
        if self.peek()? != b'n' {
            return Some(false);
        }
        self.word("null").map(|()| true)
    }

    /// Read any value, and keep nothing of it.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(|scanner, _| scanner.skip()).map(drop),
            b'[' => self.array(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Nothing but space is left.
    pub fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// The next byte that is no space; it is not read yet.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let b' ' | b'\n' | b'\r' | b'\t' = *bytes.get(self.at)? {
            self.at += 1;
        }
        Some(bytes[self.at])
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.expect(bracket)?;
        self.opened += 1;
        (self.opened <= EVENT_DEPTH_MAX).then_some(())
    }

    fn array(&mut self) -> Option<()> {
        self.open(b'[')?;
        if self.peek()? != b']' {
            loop {
                self.skip()?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(b']')
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..]
            .starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?`: a power of ten behind it may lead anywhere, so it is no number here.
    fn number(&mut self) -> Option<()> {
        let bytes = &self.text.as_bytes()[self.at..];
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
        Some(())
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

    fn marks_of(text: &str) -> Marks {
        let mut marks = Marks::default();
        marks.find(text.as_bytes());
        marks
    }

    fn is_read(text: &str) -> bool {
        let marks = marks_of(text);
        let mut scanner = Scanner::new(text.as_bytes(), &marks).unwrap();
        scanner.skip().and_then(|()| scanner.end()).is_some()
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
        assert!(is_read(&format!("{}{}", "[".repeat(16), "]".repeat(16))));
        assert!(!is_read(&format!("{}{}", "[".repeat(17), "]".repeat(17))));
        assert!(!is_read(&format!("[{}[]]", "[],".repeat(15))));
        assert!(is_read(&format!("\"{}\"", "[{".repeat(99))));
    }

    #[test]
    fn a_string_without_escapes_says_what_stands_in_it() {
        let text = "\"zoë\" \"z\\n\"";
        let marks = marks_of(text);
        let mut scanner = Scanner::new(text.as_bytes(), &marks).unwrap();
        assert_eq!(scanner.string().unwrap().said(), Some("zoë"));
        assert_eq!(scanner.string().unwrap().said(), None);
    }
}
