//! The event of a record, read as far as the row of a plain action needs it (contract section 3).
//!
//! `stepwatch.schemas.events` is the definition. Whatever differs from it here only leaves more records to Python:
//! what is read here must be right at first sight.

use std::ops::Range;

use crate::json::Scanner;
use crate::marks::Marks;

/// The one type that is read here.
const ACTION_PERFORMED: &[u8] = b"stepwatch.action.performed";
/// Strings of `data` that no column of a plain action shows; escapes do not matter in them.
const UNSHOWN: [&[u8]; 9] = [
    b"transaction",
    b"reason",
    b"acr",
    b"credential",
    b"bound_action",
    b"change",
    b"failure",
    b"approver",
    b"approver_verification",
];

/// What an action says. Every string is as it was sent, without escapes; what is absent is empty.
#[derive(Default)]
pub struct Action<'a> {
    pub id: &'a [u8],
    pub source: &'a [u8],
    pub time: &'a [u8],
    pub subject: &'a [u8],
    /// Only lines of files say it themselves.
    pub arrival: &'a [u8],
    /// Where `data` stands in the event.
    pub data: Range<usize>,
    pub tenant: &'a [u8],
    pub session: &'a [u8],
    pub root_session: &'a [u8],
    pub action: &'a [u8],
    pub on_behalf_of: &'a [u8],
    pub outcome: &'a [u8],
    pub verification: &'a [u8],
    pub challenge: &'a [u8],
    pub client: Client<'a>,
    pub resource: Resource<'a>,
    pub decision: Decision<'a>,
}

#[derive(Default)]
pub struct Client<'a> {
    pub ip: &'a [u8],
    pub device: &'a [u8],
    pub user_agent: &'a [u8],
    pub country: &'a [u8],
}

#[derive(Default)]
pub struct Resource<'a> {
    pub kind: &'a [u8],
    pub id: &'a [u8],
    pub sensitivity: &'a [u8],
}

#[derive(Default)]
pub struct Decision<'a> {
    pub result: &'a [u8],
    pub reason: &'a [u8],
}

impl<'a> Action<'a> {
    /// Read the value of a record; None where it is no action, or not clearly a right one. The marks must be its own.
    pub fn read(value: &'a [u8], marks: &'a Marks) -> Option<Self> {
        let mut scanner = Scanner::new(value, marks)?;
        let mut action = Self::default();
        let (mut kind, mut given): (&[u8], _) = (b"", Given::default());
        scanner.object(|scanner, key| {
            match key {
                b"id" => action.id = given.text(0, scanner)?,
                b"source" => action.source = given.text(1, scanner)?,
                b"type" => kind = given.text(2, scanner)?,
                b"time" => action.time = given.text(3, scanner)?,
                b"subject" => action.subject = given.text(4, scanner)?,
                b"arrival" => action.arrival = given.text(6, scanner)?,
                b"data" => {
                    given.once(5)?;
                    action.read_data(scanner)?;
                }
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        scanner.end()?;
        let required = [action.id, action.source, action.subject, action.action];
        (kind == ACTION_PERFORMED && required.iter().all(|said| !said.is_empty())).then_some(action)
    }

    fn read_data(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let mut given = Given::default();
        self.data = scanner.object(|scanner, key| {
            match key {
                b"tenant" => self.tenant = given.text(0, scanner)?,
                b"session" => self.session = given.text(1, scanner)?,
                b"root_session" => self.root_session = given.text(2, scanner)?,
                b"action" => self.action = given.text(3, scanner)?,
                b"on_behalf_of" => self.on_behalf_of = given.text(4, scanner)?,
                b"outcome" => self.outcome = given.text(5, scanner)?,
                b"verification" => self.verification = given.text(6, scanner)?,
                b"challenge" => self.challenge = given.text(7, scanner)?,
                b"client" => given.object(8, scanner, |scanner| self.client.read(scanner))?,
                b"resource" => given.object(9, scanner, |scanner| self.resource.read(scanner))?,
                b"decision" => given.object(10, scanner, |scanner| self.decision.read(scanner))?,
                b"token" => {
                    given.object(11, scanner, |scanner| scanner.object(|scanner, _| scanner.skip()).map(drop))?
                }
                b"amr" => given.absent(12, scanner)?,
                b"auth_time" => given.absent(13, scanner)?,
                b"otp_step" => given.absent(14, scanner)?,
                _ => match UNSHOWN.iter().position(|name| *name == key) {
                    Some(place) => given.unshown(15 + place, scanner)?,
                    None => scanner.skip()?,
                },
            }
            Some(())
        })?;
        Some(())
    }
}

impl<'a> Client<'a> {
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let mut given = Given::default();
        scanner.object(|scanner, key| {
            match key {
                b"ip" => self.ip = given.text(0, scanner)?,
                b"device" => self.device = given.text(1, scanner)?,
                b"user_agent" => self.user_agent = given.text(2, scanner)?,
                b"country" => self.country = given.text(3, scanner)?,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        Some(())
    }
}

impl<'a> Resource<'a> {
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let mut given = Given::default();
        scanner.object(|scanner, key| {
            match key {
                b"type" => self.kind = given.text(0, scanner)?,
                b"id" => self.id = given.text(1, scanner)?,
                b"sensitivity" => self.sensitivity = given.text(2, scanner)?,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        Some(())
    }
}

impl<'a> Decision<'a> {
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let mut given = Given::default();
        scanner.object(|scanner, key| {
            match key {
                b"result" => self.result = given.text(0, scanner)?,
                b"reason" => self.reason = given.text(1, scanner)?,
                b"policy" => given.unshown(2, scanner)?,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        Some(())
    }
}

/// The known keys of one object that were read: of one given twice the last would count, but Python shall say so.
#[derive(Default)]
struct Given(u32);

impl Given {
    fn once(&mut self, place: usize) -> Option<()> {
        let bit = 1 << place;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then_some(())
    }

    /// A string, or nothing where it is null.
    fn text<'a>(&mut self, place: usize, scanner: &mut Scanner<'a>) -> Option<&'a [u8]> {
        self.once(place)?;
        if scanner.null()? { Some(b"") } else { scanner.string() }
    }

    /// A string that nobody reads, or null.
    fn unshown(&mut self, place: usize, scanner: &mut Scanner) -> Option<()> {
        self.once(place)?;
        if scanner.null()? { Some(()) } else { scanner.skip_string() }
    }

    /// An object, or nothing where it is null.
    fn object<'a>(
        &mut self,
        place: usize,
        scanner: &mut Scanner<'a>,
        read: impl FnOnce(&mut Scanner<'a>) -> Option<()>,
    ) -> Option<()> {
        self.once(place)?;
        if scanner.null()? { Some(()) } else { read(scanner) }
    }

    /// Null: anything else here is for Python to judge.
    fn absent(&mut self, place: usize, scanner: &mut Scanner) -> Option<()> {
        self.once(place)?;
        scanner.null()?.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = r#"{"id":"e","source":"/a","type":"stepwatch.action.performed","time":"t","subject":"u",
        "data": {"action":"x.y","client":{"ip":"1","asn":5},"amr":null} }"#;

    fn marks_of(text: &str) -> Marks {
        let mut marks = Marks::default();
        marks.find(text.as_bytes());
        marks
    }

    fn reads(from: &str, to: &str) -> bool {
        let text = RIGHT.replacen(from, to, 1);
        assert!(from.is_empty() || text != RIGHT, "{from} is not in it");
        Action::read(text.as_bytes(), &marks_of(&text)).is_some()
    }

    #[test]
    fn a_right_action_says_what_was_sent() {
        let marks = marks_of(RIGHT);
        let action = Action::read(RIGHT.as_bytes(), &marks).unwrap();
        let said = [action.id, action.action, action.client.ip, action.tenant];
        assert_eq!(said, [b"e".as_slice(), b"x.y", b"1", b""]);
        assert_eq!(&RIGHT[action.data], r#"{"action":"x.y","client":{"ip":"1","asn":5},"amr":null}"#);
    }

    #[test]
    fn what_lacks_or_is_of_another_kind_is_left_to_python() {
        assert!(reads("", ""));
        assert!(!reads("\"id\"", "\"no\""));
        assert!(!reads("\"u\"", "\"\""));
        assert!(!reads("\"u\"", "null"));
        assert!(!reads("\"u\"", "5"));
        assert!(!reads("performed", "done"));
        assert!(!reads("\"x.y\"", "null"));
        assert!(!reads("null", "[]"));
        assert!(!reads("{\"ip\"", "[],\"client\":{\"ip\""));
        assert!(!reads("\"id\"", "\"id\":null,\"id\""));
        assert!(reads("\"client\":{", "\"client\":null,\"more\":{"));
        assert!(!reads("\"client\":{", "\"client\":\"\",\"more\":{"));
    }
}
