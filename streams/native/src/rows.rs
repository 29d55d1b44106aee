//! Output records, encoded as they come into record batches that are ready to be sent but for their header.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList};

use crate::wire::{HEADER_BYTES, Pair, Read, Written, read_pair, varint_bytes, write_header, write_varint};

/// Length, attributes, two deltas, two more lengths and the count of headers: a record has never more around it.
const AROUND_MAX: usize = 64;

/// Records behind room for their header.
#[derive(Clone)]
struct Batch {
    bytes: Vec<u8>,
    record_count: i32,
}

impl Batch {
    /// An empty one with room for so many bytes.
    fn new(room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        bytes.resize(HEADER_BYTES, 0);
        Self { bytes, record_count: 0 }
    }

    /// The bytes of the next record from its attributes on, but for its key and value.
    fn bytes_around(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let length = |part: Option<&[u8]>| varint_bytes(part.map_or(-1, |bytes| bytes.len() as i64));
        // One byte each: attributes, time delta, count of headers.
        3 + varint_bytes(i64::from(self.record_count)) + length(key) + length(value)
    }

    fn append(&mut self, body_bytes: usize, key: Option<&[u8]>, value: Option<&[u8]>) {
        let out = &mut self.bytes;
        write_varint(out, body_bytes as i64);
        out.extend_from_slice(&[0, 0]); // attributes, time delta
        write_varint(out, i64::from(self.record_count));
        for part in [key, value] {
            write_varint(out, part.map_or(-1, |bytes| bytes.len() as i64));
            out.extend_from_slice(part.unwrap_or_default());
        }
        out.push(0); // headers
        self.record_count += 1;
    }

    fn pairs(&self) -> Read<Vec<Pair<'_>>> {
        let mut rest = &self.bytes[HEADER_BYTES..];
        (0..self.record_count).map(|_| read_pair(&mut rest)).collect()
    }
}

#[pyclass(frozen, module = "stepwatch.streams._native")]
pub struct EncodedBatch(Arc<Batch>);

#[pymethods]
impl EncodedBatch {
    fn record_count(&self) -> i32 {
        self.0.record_count
    }

    fn size(&self) -> usize {
        self.0.bytes.len()
    }

    fn build<'py>(
        &self,
        py: Python<'py>,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        transactional: bool,
        timestamp_ms: i64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let written = Written { producer_id, producer_epoch, base_sequence, transactional, timestamp_ms };
        PyBytes::new_with(py, self.0.bytes.len(), |out| {
            out.copy_from_slice(&self.0.bytes);
            write_header(out, self.0.record_count, &written);
            Ok(())
        })
    }

    fn __repr__(&self) -> String {
        format!("<EncodedBatch: {} records, {} bytes>", self.0.record_count, self.0.bytes.len())
    }
}

#[pyclass(module = "stepwatch.streams._native")]
pub struct Rows {
    batch_bytes: usize,
    closed: Vec<Arc<Batch>>,
    open: Batch,
    count: usize,
}

impl Rows {
    /// Append one record, to a new batch where the open one would grow too large.
    pub fn append(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> PyResult<()> {
        let said = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if said > i32::MAX as usize - HEADER_BYTES - AROUND_MAX {
            return Err(PyValueError::new_err(format!("a record of {said} bytes: a batch holds less than 2 GiB")));
        }
        let mut body_bytes = self.open.bytes_around(key, value) + said;
        let room = self.batch_bytes.min(i32::MAX as usize).saturating_sub(self.open.bytes.len());
        if varint_bytes(body_bytes as i64) + body_bytes > room && self.open.record_count > 0 {
            // It will mostly grow as large as the one that is full now; it need not do so step by step.
            self.close(self.open.bytes.len());
            body_bytes = self.open.bytes_around(key, value) + said;
        }
        self.open.append(body_bytes, key, value);
        self.count += 1;
        Ok(())
    }

    /// Close the open batch, if anything is in it; the next one has room for so many bytes.
    fn close(&mut self, room: usize) {
        if self.open.record_count > 0 {
            self.closed.push(Arc::new(std::mem::replace(&mut self.open, Batch::new(room))));
        }
    }
}

#[pymethods]
impl Rows {
    #[new]
    fn new(batch_bytes: usize) -> Self {
        Self { batch_bytes, closed: Vec::new(), open: Batch::new(0), count: 0 }
    }

    fn __len__(&self) -> usize {
        self.count
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let list = PyList::empty(py);
        for batch in self.closed.iter().map(Arc::as_ref).chain([&self.open]) {
            for (key, value) in batch.pairs()? {
                let bytes = |part: &[u8]| PyBytes::new(py, part);
                list.append((key.map(bytes), value.map(bytes)))?;
            }
        }
        list.try_iter()
    }

    fn extend(&mut self, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
        for pair in pairs.try_iter()? {
            let pair = pair?;
            let (key, value): (Option<Bound<'_, PyBytes>>, Option<Bound<'_, PyBytes>>) = pair.extract()?;
            let (key, value) = (key.as_ref().map(|key| key.as_bytes()), value.as_ref().map(|value| value.as_bytes()));
            self.append(key, value)?;
        }
        Ok(())
    }

    fn batches(&mut self) -> Vec<EncodedBatch> {
        self.close(0);
        self.closed.iter().cloned().map(EncodedBatch).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Rows: {} records>", self.count)
    }
}
