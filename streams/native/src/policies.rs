//! The policy set in force: two questions to Python, whose answers are kept at hand.

use std::collections::HashMap;
use std::ops::Range;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

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
    keys: HashMap<Box<[u8]>, Box<[u8]>>,
}

impl Policies {
    pub fn new(times_us: Range<i64>, may_concern: Py<PyAny>, canonical: Option<Py<PyAny>>) -> Self {
        Self { times_us, may_concern, canonical, concerns: HashMap::new(), keys: HashMap::new() }
    }

    /// Whether some policy could match an action. `scratch` is overwritten.
    pub fn may_concern(&mut self, py: Python<'_>, names: [&[u8]; 4], scratch: &mut Vec<u8>) -> PyResult<bool> {
        scratch.clear();
        for name in names {
            scratch.extend_from_slice(name);
            scratch.push(0);
        }
        if let Some(answer) = self.concerns.get(scratch.as_slice()) {
            return Ok(*answer);
        }
        let [tenant, action, kind, sensitivity] = names.map(|name| PyString::from_bytes(py, name));
        let answer = self.may_concern.bind(py).call1((tenant?, action?, kind?, sensitivity?))?.extract()?;
        if names.iter().all(|name| name.len() <= NAME_BYTES_MAX) {
            keep(&mut self.concerns, scratch.as_slice().into(), answer);
        }
        Ok(answer)
    }

    /// Bring `tenant/canonical subject` into `key`.
    pub fn write_key(&mut self, py: Python<'_>, tenant: &[u8], subject: &[u8], key: &mut Vec<u8>) -> PyResult<()> {
        let write = |key: &mut Vec<u8>, subject: &[u8]| {
            key.clear();
            key.extend_from_slice(tenant);
            key.push(b'/');
            key.extend_from_slice(subject);
        };
        write(key, subject);
        let Some(canonical) = &self.canonical else {
            return Ok(());
        };
        if let Some(known) = self.keys.get(key.as_slice()) {
            key.clear();
            key.extend_from_slice(known);
            return Ok(());
        }
        let sent: Box<[u8]> = key.as_slice().into();
        let answer =
            canonical.bind(py).call1((PyString::from_bytes(py, tenant)?, PyString::from_bytes(py, subject)?))?;
        write(key, answer.extract::<&str>()?.as_bytes());
        if subject.len() <= NAME_BYTES_MAX {
            keep(&mut self.keys, sent, key.as_slice().into());
        }
        Ok(())
    }

    pub fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.may_concern)?;
        visit.call(&self.canonical)
    }
}

fn keep<V>(answers: &mut HashMap<Box<[u8]>, V>, question: Box<[u8]>, answer: V) {
    if answers.len() >= ANSWERS_MAX {
        answers.clear();
    }
    answers.insert(question, answer);
}
