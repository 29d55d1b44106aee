//! The records of one partition in a fetch answer, in chunks that share the answer's bytes.

use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice, PyTuple};

use crate::wire::{Batch, Cursor, Malformed, RecordAt};

impl From<Malformed> for PyErr {
    fn from(Malformed(what): Malformed) -> Self {
        PyValueError::new_err(what)
    }
}

/// Documented in `_native.pyi`, like everything that Python sees.
#[pyclass(frozen, get_all, module = "stepwatch.streams._native")]
pub struct Record {
    offset: i64,
    timestamp: i64,
    key: Option<Py<PyBytes>>,
    value: Option<Py<PyBytes>>,
    headers: Py<PyTuple>,
}

/// One record, and which of a fetch's bodies it stands in.
#[derive(Clone, Copy)]
pub struct Placed {
    pub record: RecordAt,
    body: u32,
}

/// The bytes that records stand in: the fetch answer itself, and what was decompressed of it.
type Bodies = Arc<Vec<Py<PyBytes>>>;

#[pyclass(frozen, sequence, module = "stepwatch.streams._native")]
pub struct Chunk {
    bodies: Bodies,
    pub records: Vec<Placed>,
    #[pyo3(get)]
    next_offset: i64,
}

impl Chunk {
    /// The text that the parts of a record stand in.
    pub fn body<'a>(&'a self, py: Python<'a>, placed: &Placed) -> &'a [u8] {
        self.bodies[placed.body as usize].as_bytes(py)
    }

    fn record(&self, py: Python<'_>, placed: &Placed) -> PyResult<Record> {
        let (record, body) = (placed.record, self.body(py, placed));
        let bytes = |part: &[u8]| PyBytes::new(py, part).unbind();
        let headers = record.headers.of(body);
        let headers = headers.into_iter().map(|(name, value)| (name, value.map(bytes)));
        Ok(Record {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| bytes(key.of(body))),
            value: record.value.map(|value| bytes(value.of(body))),
            headers: PyTuple::new(py, headers.collect::<Vec<_>>())?.unbind(),
        })
    }

    fn slice<'py>(&self, slice: &Bound<'py, PySlice>) -> PyResult<Bound<'py, PyList>> {
        let range = slice.indices(self.records.len() as isize)?;
        let list = PyList::empty(slice.py());
        for step in 0..range.slicelength as isize {
            let placed = &self.records[(range.start + step * range.step) as usize];
            list.append(self.record(slice.py(), placed)?)?;
        }
        Ok(list)
    }
}

#[pymethods]
impl Chunk {
    fn __len__(&self) -> usize {
        self.records.len()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            return Ok(self.slice(slice)?.into_any());
        }
        let said: isize = index.extract()?;
        let index_from_start = if said < 0 { said + self.records.len() as isize } else { said };
        match usize::try_from(index_from_start).ok().and_then(|at| self.records.get(at)) {
            Some(placed) => Ok(Bound::new(index.py(), self.record(index.py(), placed)?)?.into_any()),
            None => Err(PyIndexError::new_err(format!("record {said} of {}", self.records.len()))),
        }
    }

    fn __iter__(slf: Py<Self>) -> Records {
        Records { chunk: slf, next: 0 }
    }

    fn __repr__(&self) -> String {
        format!("<Chunk: {} records, next offset {}>", self.records.len(), self.next_offset)
    }

    fn index_of(&self, offset: i64) -> usize {
        self.records.partition_point(|placed| placed.record.offset < offset)
    }

    #[pyo3(signature = (*args))]
    fn index<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        of_any_sequence("index", slf, args)
    }

    #[pyo3(signature = (*args))]
    fn count<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        of_any_sequence("count", slf, args)
    }
}

/// What `collections.abc.Sequence` gives to every sequence that is written in Python.
fn of_any_sequence<'py>(
    name: &str,
    slf: &Bound<'py, Chunk>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let sequence = slf.py().import("collections.abc")?.getattr("Sequence")?;
    let slf = PyTuple::new(slf.py(), [slf])?;
    sequence.getattr(name)?.call1(slf.add(args)?.cast::<PyTuple>()?)
}

#[pyclass(module = "stepwatch.streams._native")]
struct Records {
    chunk: Py<Chunk>,
    next: usize,
}

#[pymethods]
impl Records {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Record>> {
        let chunk = self.chunk.get();
        let Some(placed) = chunk.records.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        chunk.record(py, placed).map(Some)
    }
}

#[pyfunction]
pub fn read_chunks(
    data: &Bound<'_, PyBytes>,
    fetch_offset: i64,
    aborted: Vec<(i64, i64)>,
    max_records: usize,
    decompress: &Bound<'_, PyAny>,
) -> PyResult<(Vec<Chunk>, i64)> {
    if max_records == 0 {
        return Err(PyValueError::new_err("a chunk holds at least one record: max_records is 0"));
    }
    let mut fetched = Fetched::new(data, fetch_offset, max_records)?;
    let mut aborted = Aborted::new(aborted);
    let mut at = 0;
    while let Some(batch) = Batch::first_of(&data.as_bytes()[at..])? {
        batch.check_crc()?;
        let body_at = at + batch.size() - batch.body().len();
        at += batch.size();
        if !aborted.hides(&batch)? && !batch.is_control() {
            fetched.read(&batch, body_at, decompress)?;
        }
        fetched.next_offset = batch.next_offset()?;
    }
    Ok(fetched.into_chunks())
}

/// Which transactions were aborted, as far as the batches have been read.
struct Aborted {
    /// (first offset, producer id), the first one last.
    to_come: Vec<(i64, i64)>,
    producers: Vec<i64>,
}

impl Aborted {
    fn new(pairs: Vec<(i64, i64)>) -> Self {
        let mut to_come: Vec<_> = pairs.into_iter().map(|(producer_id, offset)| (offset, producer_id)).collect();
        to_come.sort_by_key(|(offset, _)| std::cmp::Reverse(*offset));
        Self { to_come, producers: Vec::new() }
    }

    /// Whether the batch belongs to an aborted transaction.
    fn hides(&mut self, batch: &Batch) -> PyResult<bool> {
        while let Some((offset, producer_id)) = self.to_come.pop() {
            if offset > batch.base_offset {
                self.to_come.push((offset, producer_id));
                break;
            }
            self.producers.push(producer_id);
        }
        if batch.is_control() && batch.is_abort()? {
            self.producers.retain(|producer_id| *producer_id != batch.producer_id);
        }
        Ok(batch.is_transactional() && self.producers.contains(&batch.producer_id))
    }
}

/// What of a fetch answer is read.
struct Fetched {
    bodies: Vec<Py<PyBytes>>,
    /// Records and next offset of each chunk.
    full: Vec<(Vec<Placed>, i64)>,
    last: Vec<Placed>,
    max_records: usize,
    next_offset: i64,
}

impl Fetched {
    fn new(data: &Bound<'_, PyBytes>, fetch_offset: i64, max_records: usize) -> PyResult<Self> {
        check_length(data)?;
        Ok(Self {
            bodies: vec![data.clone().unbind()],
            full: Vec::new(),
            last: Vec::new(),
            max_records,
            next_offset: fetch_offset,
        })
    }

    fn read(&mut self, batch: &Batch, body_at: usize, decompress: &Bound<'_, PyAny>) -> PyResult<()> {
        if batch.codec() == 0 {
            return self.read_body(batch, batch.body(), 0, body_at as u32);
        }
        let body = decompress.call1((batch.codec(), PyBytes::new(decompress.py(), batch.body())))?;
        let Ok(body) = body.cast::<PyBytes>() else {
            return Err(PyTypeError::new_err(format!("expected bytes of decompress, got {}", body.get_type())));
        };
        check_length(body)?;
        self.bodies.push(body.clone().unbind());
        self.read_body(batch, body.as_bytes(), self.bodies.len() as u32 - 1, 0)
    }

    fn read_body(&mut self, batch: &Batch, bytes: &[u8], body: u32, start: u32) -> PyResult<()> {
        let mut cursor = Cursor::new(bytes);
        for _ in 0..batch.record_count {
            let record = batch.record(&mut cursor)?;
            if record.offset >= self.next_offset {
                self.push(Placed { record: record.moved(start), body });
                // A record at the greatest offset of all has no next one; there is none to fetch either.
                self.next_offset = record.offset.saturating_add(1);
            }
        }
        if cursor.left() > 0 {
            let (offset, left) = (batch.base_offset, cursor.left());
            return Err(Malformed(format!("the batch at offset {offset} has {left} bytes behind its records")).into());
        }
        Ok(())
    }

    fn push(&mut self, placed: Placed) {
        if self.last.len() == self.max_records {
            self.full.push((std::mem::take(&mut self.last), self.next_offset));
        }
        self.last.push(placed);
    }

    fn into_chunks(mut self) -> (Vec<Chunk>, i64) {
        if !self.last.is_empty() {
            self.full.push((self.last, self.next_offset));
        }
        let bodies = Arc::new(self.bodies);
        let chunk = |(records, next_offset)| Chunk { bodies: Arc::clone(&bodies), records, next_offset };
        (self.full.into_iter().map(chunk).collect(), self.next_offset)
    }
}

/// Places are kept in 32 bits.
fn check_length(bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
    match u32::try_from(bytes.as_bytes().len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(PyValueError::new_err("4 GiB or more in one fetch answer or batch")),
    }
}
