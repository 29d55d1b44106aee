//! The policy set in force: two questions to Python, whose answers are kept at hand.

use std::collections::HashMap;
use std::ops::Range;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// Answers to each question that are kept; all are dropped when there are more.
const ANSWERS_MAX: usize = 65_536;
/// A longer name is asked for each time: an event may be 256 KiB of name.
const NAME_BYTES_MAX: usize = 256;

pub struct Policies {
    /// The event times at which the set is in force.
    pub times_us: Range<i64>,
    may_concern: Py<PyAny>,
    /// None: no subject has an alias.
    canonical: Option<Py<PyAny>>,
    /// The four names, each with a NUL behind it: no name can hold one where escapes are not read.
    concerns: HashMap<Box<[u8]>, bool>,
    /// `tenant/subject` -> the same of the canonical subject.
    keys: HashMap<Box<str>, Box<str>>,
}

impl Policies {
    pub fn new(times_us: Range<i64>, may_concern: Py<PyAny>, canonical: Option<Py<PyAny>>) -> Self {
        Self {
            times_us,
            may_concern,
            canonical,
            concerns: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    /// Whether some policy could match an action. `scratch` is overwritten.
    pub fn may_concern(&mut self, py: Python<'_>, names: [&str; 4], scratch: &mut Vec<u8>) -> PyResult<bool> {
        scratch.clear();
        for name in names {
            scratch.extend_from_slice(name.as_bytes());
            scratch.push(0);
        }
        if let Some(answer) = self.concerns.get(scratch.as_slice()) {
            return Ok(*answer);
        }
        let answer = self
            .may_concern
            .bind(py)
            .call1((names[0], names[1], names[2], names[3]))?
            .extract()?;
        if names.iter().all(|name| name.len() <= NAME_BYTES_MAX) {
            keep(&mut self.concerns, scratch.as_slice().into(), answer);
        }
        Ok(answer)
    }

    /// Bring `tenant/canonical subject` into `key`.
    pub fn write_key(&mut self, py: Python<'_>, tenant: &str, subject: &str, key: &mut String) -> PyResult<()> {
        let write = |key: &mut String, subject: &str| {
            key.clear();
            key.push_str(tenant);
            key.push('/');
            key.push_str(subject);
        };
        write(key, subject);
        let Some(canonical) = &self.canonical else {
            return Ok(());
        };
        if let Some(known) = self.keys.get(key.as_str()) {
            key.clear();
            key.push_str(known);
            return Ok(());
        }
        let sent: Box<str> = key.as_str().into();
        let answer: Bound<'_, PyAny> = canonical.bind(py).call1((tenant, subject))?;
        write(key, answer.extract()?);
        if subject.len() <= NAME_BYTES_MAX {
            keep(&mut self.keys, sent, key.as_str().into());
        }
        Ok(())
    }

    pub fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.may_concern)?;
        visit.call(&self.canonical)
    }
}

fn keep<K: std::hash::Hash + Eq, V>(answers: &mut HashMap<K, V>, question: K, answer: V) {
    if answers.len() >= ANSWERS_MAX {
        answers.clear();
    }
    answers.insert(question, answer);
}
