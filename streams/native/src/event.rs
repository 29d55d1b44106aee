//! The event of a record, read as far as the row of a plain action needs it (contract section 3).
//!
//! `stepwatch.schemas.events` is the definition. Whatever differs from it here only leaves more records to Python:
//! what is read here must be right at first sight.

use std::ops::Range;

use crate::json::Scanner;
use crate::marks::Marks;

/// The one type that is read here.
const ACTION_PERFORMED: &str = "stepwatch.action.performed";
/// Strings of `data` that no column of a plain action shows; escapes do not matter in them.
const UNSHOWN: [&str; 9] = [
    "transaction",
    "reason",
    "acr",
    "credential",
    "bound_action",
    "change",
    "failure",
    "approver",
    "approver_verification",
];

/// What an action says. Every string is as it was sent, without escapes; what is absent is empty.
#[derive(Default)]
pub struct Action<'a> {
    pub id: &'a str,
    pub source: &'a str,
    pub time: &'a str,
    pub subject: &'a str,
    /// Where `data` stands in the event.
    pub data: Range<usize>,
    pub tenant: &'a str,
    pub session: &'a str,
    pub root_session: &'a str,
    pub action: &'a str,
    pub on_behalf_of: &'a str,
    pub outcome: &'a str,
    pub verification: &'a str,
    pub challenge: &'a str,
    pub client: Client<'a>,
    pub resource: Resource<'a>,
    pub decision: Decision<'a>,
}

#[derive(Default)]
pub struct Client<'a> {
    pub ip: &'a str,
    pub device: &'a str,
    pub user_agent: &'a str,
    pub country: &'a str,
}

#[derive(Default)]
pub struct Resource<'a> {
    pub kind: &'a str,
    pub id: &'a str,
    pub sensitivity: &'a str,
}

#[derive(Default)]
pub struct Decision<'a> {
    pub result: &'a str,
    pub reason: &'a str,
}

impl<'a> Action<'a> {
    /// Read the value of a record; None where it is no action, or not clearly a right one. The marks must be its own.
    pub fn read(value: &'a [u8], marks: &'a Marks) -> Option<Self> {
        let mut scanner = Scanner::new(value, marks)?;
        let mut action = Self::default();
        let (mut kind, mut given) = ("", Given::default());
        scanner.object(|scanner, key| {
            match key {
                "id" => action.id = given.text(0, scanner)?,
                "source" => action.source = given.text(1, scanner)?,
                "type" => kind = given.text(2, scanner)?,
                "time" => action.time = given.text(3, scanner)?,
                "subject" => action.subject = given.text(4, scanner)?,
                "data" => {
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
                "tenant" => self.tenant = given.text(0, scanner)?,
                "session" => self.session = given.text(1, scanner)?,
                "root_session" => self.root_session = given.text(2, scanner)?,
                "action" => self.action = given.text(3, scanner)?,
                "on_behalf_of" => self.on_behalf_of = given.text(4, scanner)?,
                "outcome" => self.outcome = given.text(5, scanner)?,
                "verification" => self.verification = given.text(6, scanner)?,
                "challenge" => self.challenge = given.text(7, scanner)?,
                "client" => given.object(8, scanner, |scanner| self.client.read(scanner))?,
                "resource" => given.object(9, scanner, |scanner| self.resource.read(scanner))?,
                "decision" => given.object(10, scanner, |scanner| self.decision.read(scanner))?,
                "token" => given.object(11, scanner, |scanner| {
                    scanner.object(|scanner, _| scanner.skip()).map(drop)
                })?,
                "amr" => given.absent(12, scanner)?,
                "auth_time" => given.absent(13, scanner)?,
                "otp_step" => given.absent(14, scanner)?,
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
                "ip" => self.ip = given.text(0, scanner)?,
                "device" => self.device = given.text(1, scanner)?,
                "user_agent" => self.user_agent = given.text(2, scanner)?,
                "country" => self.country = given.text(3, scanner)?,
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
                "type" => self.kind = given.text(0, scanner)?,
                "id" => self.id = given.text(1, scanner)?,
                "sensitivity" => self.sensitivity = given.text(2, scanner)?,
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
                "result" => self.result = given.text(0, scanner)?,
                "reason" => self.reason = given.text(1, scanner)?,
                "policy" => given.unshown(2, scanner)?,
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
    fn text<'a>(&mut self, place: usize, scanner: &mut Scanner<'a>) -> Option<&'a str> {
        self.once(place)?;
        if scanner.null()? {
            Some("")
        } else {
            scanner.string()?.said()
        }
    }

    /// A string that nobody reads, or null.
    fn unshown(&mut self, place: usize, scanner: &mut Scanner) -> Option<()> {
        self.once(place)?;
        if scanner.null()? {
            Some(())
        } else {
            scanner.string().map(drop)
        }
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
        assert_eq!(
            (action.id, action.action, action.client.ip, action.tenant),
            ("e", "x.y", "1", "")
        );
        assert_eq!(
            &RIGHT[action.data],
            r#"{"action":"x.y","client":{"ip":"1","asn":5},"amr":null}"#
        );
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
