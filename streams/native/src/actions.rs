//! Which records are plain actions, and their rows. Every other record is left to Python, in its order.

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::chunk::Chunk;
use crate::event::Action;
use crate::keys::partition_of;
use crate::marks::Marks;
use crate::policies::Policies;
use crate::remembered::Remembered;
use crate::row::{self, Judged};
use crate::rows::Rows;
use crate::times::{self, Shown, TIME_END_US};
use crate::wire::RecordAt;

/// `topics.EVENT_BYTES_MAX`.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// `limits.AHEAD_MAX_US`.
pub const AHEAD_MAX_US: i64 = 600_000_000;
const TENANT_BYTES_MAX: usize = 64;

#[pyclass(module = "stepwatch.streams._native")]
pub struct PlainActions {
    partition: u32,
    partitions: u32,
    policies: Option<Policies>,
    remembered: Remembered,
    arrival: LastShown,
    marks: Marks,
    key: Vec<u8>,
    row: Vec<u8>,
}

#[pymethods]
impl PlainActions {
    #[new]
    fn new(partition: u32, partitions: u32) -> PyResult<Self> {
        if partition >= partitions {
            return Err(PyValueError::new_err(format!("there is no partition {partition} of {partitions}")));
        }
        let remembered = Remembered::default();
        Ok(Self {
            partition,
            partitions,
            policies: None,
            remembered,
            arrival: LastShown::default(),
            marks: Marks::default(),
            key: Vec::new(),
            row: Vec::new(),
        })
    }

    #[pyo3(name = "use")]
    fn use_set(&mut self, from_us: i64, until_us: i64, may_concern: Py<PyAny>, canonical: Option<Py<PyAny>>) {
        self.policies = Some(Policies::new(from_us..until_us, may_concern, canonical));
    }

    fn remember(&mut self, tenant: &str, subject: &str, source: &str, id: &str) {
        self.remembered.add([tenant, subject, source, id].map(str::as_bytes));
    }

    fn forget(&mut self, tenant: &str, subject: &str, source: &str, id: &str) {
        self.remembered.drop([tenant, subject, source, id].map(str::as_bytes));
    }

    fn read(
        &mut self,
        py: Python<'_>,
        chunk: &Chunk,
        start: usize,
        log_time_us: i64,
        rest: &[u8],
        rows: &mut Rows,
    ) -> PyResult<(usize, i64)> {
        let count = chunk.records.len();
        if start > count {
            return Err(PyIndexError::new_err(format!("record {start} of {count}")));
        }
        if !(rest.starts_with(b",") && rest.ends_with(b"}")) {
            return Err(PyValueError::new_err("the rest of a row begins with a comma and ends with a brace"));
        }
        let mut log_time_us = log_time_us;
        for index in start..count {
            let placed = &chunk.records[index];
            let Some(arrival_us) = arrival_of(&placed.record, log_time_us) else {
                return Ok((index, log_time_us));
            };
            if !self.read_one(py, &placed.record, chunk.body(py, placed), arrival_us, rest)? {
                return Ok((index, log_time_us));
            }
            rows.append(Some(&self.key), Some(&self.row))?;
            log_time_us = arrival_us;
        }
        Ok((count, log_time_us))
    }

    fn line<'py>(&mut self, py: Python<'py>, text: &[u8]) -> PyResult<Option<Line<'py>>> {
        if text.len() > EVENT_BYTES_MAX {
            return Ok(None);
        }
        self.marks.find(text);
        let Some(action) = Action::read(text, &self.marks) else {
            return Ok(None);
        };
        let said = if action.arrival.is_empty() { action.time } else { action.arrival };
        let (Some(arrival_us), Some(policies)) = (times::parse(said), &mut self.policies) else {
            return Ok(None);
        };
        let plain = Plain::of(py, policies, &action, arrival_us, &mut self.key, &mut self.row)?;
        let Some(Plain { tenant, .. }) = plain else {
            return Ok(None);
        };
        let subject = &self.key[tenant.len() + 1..];
        let string = |text| PyString::from_bytes(py, text);
        Ok(Some((string(tenant)?, string(subject)?, string(action.source)?, string(action.id)?, arrival_us)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.policies.as_ref().map_or(Ok(()), |policies| policies.traverse(visit))
    }

    fn __clear__(&mut self) {
        self.policies = None;
    }
}

impl PlainActions {
    /// Whether the record is a plain action: then its key and its row are in `key` and `row`.
    fn read_one(
        &mut self,
        py: Python<'_>,
        record: &RecordAt,
        body: &[u8],
        arrival_us: i64,
        rest: &[u8],
    ) -> PyResult<bool> {
        let (Some(policies), Some(text)) = (&mut self.policies, value_of(record, body)) else {
            return Ok(false);
        };
        self.marks.find(text);
        let Some(action) = Action::read(text, &self.marks) else {
            return Ok(false);
        };
        let plain = Plain::of(py, policies, &action, arrival_us, &mut self.key, &mut self.row)?;
        let Some(Plain { time_us, tenant, sensitivity }) = plain else {
            return Ok(false);
        };
        let subject = &self.key[tenant.len() + 1..];
        if needs_escapes(subject)
            || partition_of(&self.key, self.partitions) != self.partition
            || self.remembered.holds([tenant, subject, action.source, action.id])
        {
            return Ok(false);
        }
        let (marks, offset) = (&self.marks, record.offset);
        let (time, arrival) = (times::show(time_us), self.arrival.show(arrival_us));
        let judged = Judged { text, marks, tenant, subject, sensitivity, time, arrival, offset };
        self.row.clear();
        row::write(&mut self.row, &action, &judged, rest);
        Ok(true)
    }
}

/// What a plain action is beside what it says.
struct Plain<'a> {
    time_us: i64,
    tenant: &'a [u8],
    sensitivity: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Whether no policy can match an action, which is no gap either; `tenant/canonical subject` is then in `key`.
    fn of(
        py: Python<'_>,
        policies: &mut Policies,
        action: &Action<'a>,
        arrival_us: i64,
        key: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> PyResult<Option<Self>> {
        let Some(time_us) = times::parse(action.time).filter(|time_us| time_us - arrival_us <= AHEAD_MAX_US) else {
            return Ok(None);
        };
        let tenant = if action.tenant.is_empty() { b"default" } else { action.tenant };
        let sensitivity = sensitivity_of(action.resource.sensitivity);
        if !policies.times_us.contains(&time_us) || !is_tenant(tenant) || may_be_gap(action, sensitivity) {
            return Ok(None);
        }
        let names = [tenant, action.action, action.resource.kind, sensitivity];
        if policies.may_concern(py, names, scratch)? {
            return Ok(None);
        }
        policies.write_key(py, tenant, action.subject, key)?;
        Ok(Some(Self { time_us, tenant, sensitivity }))
    }
}

/// A line's (tenant, canonical subject, source, id, arrival).
type Line<'py> = (Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>, Bound<'py, PyString>, i64);

/// A time that is asked for again and again: the records of a batch have one append time.
#[derive(Default)]
struct LastShown {
    time_us: i64,
    shown: Option<Shown>,
}

impl LastShown {
    fn show(&mut self, time_us: i64) -> Shown {
        match self.shown {
            Some(shown) if self.time_us == time_us => shown,
            _ => {
                self.time_us = time_us;
                *self.shown.insert(times::show(time_us))
            }
        }
    }
}

/// The arrival of a record: the greatest append time up to and including it. None: no row can show it.
fn arrival_of(record: &RecordAt, log_time_us: i64) -> Option<i64> {
    let arrival_us = record.timestamp.checked_mul(1000)?.max(log_time_us);
    (0..TIME_END_US).contains(&arrival_us).then_some(arrival_us)
}

/// The event of a record as JSON text, where the record says nothing more of it.
fn value_of<'a>(record: &RecordAt, body: &'a [u8]) -> Option<&'a [u8]> {
    // The headers of binary mode and of moved records are part of the event; nobody else's are.
    let ours = |name: &str| name.starts_with("ce_") || name.starts_with("stepwatch-");
    let value = record.value?.of(body);
    let alone = record.headers.is_empty() || !record.headers.of(body).iter().any(|(name, _)| ours(name));
    (alone && value.len() <= EVENT_BYTES_MAX).then_some(value)
}

/// One of the four, or `""`: anything else counts as missing.
fn sensitivity_of(said: &[u8]) -> &[u8] {
    match said {
        b"low" | b"moderate" | b"high" | b"critical" => said,
        _ => b"",
    }
}

/// It may be a `policy_gap` if no policy matches it.
fn may_be_gap(action: &Action, sensitivity: &[u8]) -> bool {
    matches!(sensitivity, b"high" | b"critical") || action.decision.result == b"required"
}

fn is_tenant(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=TENANT_BYTES_MAX).contains(&name.len()) && name.iter().all(allowed)
}

/// What is read of events needs no escapes in a row; a canonical subject of a policy file may.
fn needs_escapes(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}
