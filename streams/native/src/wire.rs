//! Kafka's record batch, version 2, byte by byte: the header, its CRC, varints, one record.

use std::borrow::Cow;

/// What stands before the records of a batch.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length: what a batch begins with, and what its length does not count.
const LOG_OVERHEAD: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// From here on the CRC is computed.
pub const ATTRIBUTES_AT: usize = 21;
const CODEC: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// What is wrong with a batch, in words.
#[derive(Debug)]
pub struct Malformed(pub String);

pub type Read<T> = Result<T, Malformed>;

fn malformed<T>(what: impl Into<String>) -> Read<T> {
    Err(Malformed(what.into()))
}

/// One whole batch of a fetch answer.
pub struct Batch<'a> {
    bytes: &'a [u8],
    pub base_offset: i64,
    attributes: i16,
    last_offset_delta: i32,
    first_timestamp: i64,
    max_timestamp: i64,
    pub producer_id: i64,
    pub record_count: i32,
}

impl<'a> Batch<'a> {
    /// The batch at the beginning of `bytes`; None where they end before it does, as an answer may.
    pub fn first_of(bytes: &'a [u8]) -> Read<Option<Self>> {
        if bytes.len() < LOG_OVERHEAD {
            return Ok(None);
        }
        let (base_offset, length) = (i64::from_be_bytes(field(bytes, 0)), i32::from_be_bytes(field(bytes, 8)));
        let Some(size) = usize::try_from(length).ok().map(|length| length + LOG_OVERHEAD) else {
            return malformed(format!("the batch at offset {base_offset} says that it is {length} bytes long"));
        };
        let Some(bytes) = bytes.get(..size) else {
            return Ok(None);
        };
        match bytes.get(MAGIC_AT) {
            Some(2) if size >= HEADER_BYTES => Ok(Some(Self::with_header(bytes, base_offset))),
            Some(2) | None => {
                malformed(format!("the batch at offset {base_offset} has {size} bytes, less than a header"))
            }
            Some(magic) => malformed(format!("the batch at offset {base_offset} has format {magic}, expected 2")),
        }
    }

    fn with_header(bytes: &'a [u8], base_offset: i64) -> Self {
        Self {
            bytes,
            base_offset,
            attributes: i16::from_be_bytes(field(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            first_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        }
    }

    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The records as they were sent: compressed where `codec` is not 0.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    pub fn check_crc(&self) -> Read<()> {
        let said = u32::from_be_bytes(field(self.bytes, CRC_AT));
        let found = crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]);
        if said == found {
            return Ok(());
        }
        malformed(format!(
            "the batch at offset {} is damaged: its CRC-32C is {found:08x}, its header says {said:08x}",
            self.base_offset
        ))
    }

    pub fn codec(&self) -> i16 {
        self.attributes & CODEC
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The offset behind the batch, whether its last record is still there or was compacted away.
    pub fn next_offset(&self) -> Read<i64> {
        let next = self.base_offset.checked_add(i64::from(self.last_offset_delta) + 1);
        next.ok_or_else(|| Malformed(format!("the batch at offset {} ends beyond all offsets", self.base_offset)))
    }

    /// Whether a control batch ends a transaction by aborting it.
    pub fn is_abort(&self) -> Read<bool> {
        if self.record_count < 1 {
            return malformed(format!("the control batch at offset {} has no record", self.base_offset));
        }
        let record = self.record(&mut Cursor::new(self.body()))?;
        match record.key.map(|key| key.of(self.body())) {
            // Version 0, type 0; type 1 is a commit.
            Some([0, 0, 0, 0, ..]) => Ok(true),
            Some([_, _, _, _, ..]) => Ok(false),
            _ => malformed(format!("the control batch at offset {} has no type", self.base_offset)),
        }
    }

    /// Read the next record of the batch's body.
    pub fn record(&self, cursor: &mut Cursor) -> Read<RecordAt> {
        self.try_record(cursor).map_err(|Malformed(what)| {
            Malformed(format!("in the batch at offset {} a record is malformed: {what}", self.base_offset))
        })
    }

    fn try_record(&self, cursor: &mut Cursor) -> Read<RecordAt> {
        let length = cursor.varint()?;
        let start = cursor.at;
        cursor.varint()?; // attributes: nothing is defined in them, so they are one byte that is 0
        let timestamp_delta = cursor.varint()?;
        let offset_delta = cursor.varint()?;
        let (key, value) = (cursor.span()?, cursor.span()?);
        let header_count = cursor.varint()?;
        let headers = Headers { at: cursor.at as u32, count: header_count };
        cursor.headers(header_count)?;
        if (cursor.at - start) as i64 != length {
            return malformed(format!("it says {length} bytes and has {}", cursor.at - start));
        }
        let timestamp = match self.attributes & LOG_APPEND_TIME {
            0 => self.first_timestamp.checked_add(timestamp_delta),
            _ => Some(self.max_timestamp),
        };
        match (self.base_offset.checked_add(offset_delta), timestamp) {
            (Some(offset), Some(timestamp)) => Ok(RecordAt { offset, timestamp, key, value, headers }),
            _ => malformed("its offset or time is beyond 64 bits"),
        }
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..].first_chunk().copied().unwrap_or([0; N])
}

/// Where bytes stand in the body of a batch.
#[derive(Clone, Copy)]
pub struct Span {
    at: u32,
    length: u32,
}

impl Span {
    /// The bytes; `body` must be the one in which they were found.
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.at as usize..][..self.length as usize]
    }

    /// The same in a text in which the body begins at `start`.
    fn moved(self, start: u32) -> Self {
        Self { at: self.at + start, ..self }
    }
}

/// Where the headers of a record stand.
#[derive(Clone, Copy)]
pub struct Headers {
    at: u32,
    count: i64,
}

impl Headers {
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Each name and value; `body` must be the one in which they were found.
    pub fn of(self, body: &[u8]) -> Vec<(Cow<'_, str>, Option<&[u8]>)> {
        let mut cursor = Cursor { bytes: body, at: self.at as usize };
        (0..self.count).map_while(|_| cursor.header().ok()).collect()
    }
}

/// One record, and where its parts stand in the body of its batch. `timestamp` is in milliseconds.
#[derive(Clone, Copy)]
pub struct RecordAt {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Span>,
    pub value: Option<Span>,
    pub headers: Headers,
}

impl RecordAt {
    /// The same in a text in which the body begins at `start`.
    pub fn moved(self, start: u32) -> Self {
        Self {
            key: self.key.map(|span| span.moved(start)),
            value: self.value.map(|span| span.moved(start)),
            headers: Headers { at: self.headers.at + start, ..self.headers },
            ..self
        }
    }
}

/// Reads bytes one thing after the other.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let Some(bytes) = self.bytes[self.at..].get(..length) else {
            return malformed(format!("{length} bytes are expected where {} are left", self.left()));
        };
        self.at += length;
        Ok(bytes)
    }

    /// A zigzag varint of up to 64 bits.
    fn varint(&mut self) -> Read<i64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        malformed("a number is longer than 64 bits")
    }

    /// Bytes behind their length, or none where it is negative.
    fn bytes(&mut self) -> Read<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn span(&mut self) -> Read<Option<Span>> {
        let bytes = self.bytes()?;
        Ok(bytes.map(|bytes| Span { at: (self.at - bytes.len()) as u32, length: bytes.len() as u32 }))
    }

    fn header(&mut self) -> Read<(Cow<'a, str>, Option<&'a [u8]>)> {
        match self.bytes()? {
            // Some clients let any bytes be a name: none of ours, so it need not be read back.
            Some(name) => Ok((String::from_utf8_lossy(name), self.bytes()?)),
            None => malformed("a header has no name"),
        }
    }

    fn headers(&mut self, count: i64) -> Read<()> {
        if count < 0 {
            return malformed(format!("it says that it has {count} headers"));
        }
        (0..count).try_for_each(|_| self.header().map(drop))
    }
}

/// Key and value of a record.
pub type Pair<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Read key and value of the record at the beginning of `bytes`, and leave what stands behind it.
pub fn read_pair<'a>(bytes: &mut &'a [u8]) -> Read<Pair<'a>> {
    let mut cursor = Cursor::new(bytes);
    let length = cursor.varint()?;
    let mut record = Cursor::new(cursor.take(usize::try_from(length).unwrap_or(usize::MAX))?);
    *bytes = &bytes[cursor.at..];
    record.take(1)?;
    record.varint()?;
    record.varint()?;
    Ok((record.bytes()?, record.bytes()?))
}

/// Append a zigzag varint.
pub fn write_varint(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// How many bytes a zigzag varint takes.
pub fn varint_bytes(number: i64) -> usize {
    let bits = 64 - ((number << 1 ^ number >> 63) as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Who writes a batch, and when: what its header says beside its records.
pub struct Written {
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub transactional: bool,
    pub timestamp_ms: i64,
}

/// Fill in the header of a batch whose records stand behind it already.
pub fn write_header(batch: &mut [u8], record_count: i32, written: &Written) {
    let attributes = if written.transactional { TRANSACTIONAL } else { 0 };
    let timestamp = written.timestamp_ms.to_be_bytes();
    let fields: [&[u8]; 12] = [
        &0_i64.to_be_bytes(), // base offset: the broker's to say
        &((batch.len() - LOG_OVERHEAD) as i32).to_be_bytes(),
        &(-1_i32).to_be_bytes(), // leader epoch: unknown
        &[2, 0, 0, 0, 0],        // format, and room for the CRC
        &attributes.to_be_bytes(),
        &(record_count - 1).to_be_bytes(),
        &timestamp,
        &timestamp,
        &written.producer_id.to_be_bytes(),
        &written.producer_epoch.to_be_bytes(),
        &written.base_sequence.to_be_bytes(),
        &record_count.to_be_bytes(),
    ];
    batch[..HEADER_BYTES].copy_from_slice(&fields.concat());
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_as_they_were_written_and_as_long_as_was_said() {
        let edges = (0..63).flat_map(|bits| [(1_i64 << bits) - 1, 1 << bits, -(1 << bits), -(1 << bits) - 1]);
        for number in edges.chain([0, i64::MAX, i64::MIN]) {
            let mut out = Vec::new();
            write_varint(&mut out, number);
            assert_eq!(out.len(), varint_bytes(number), "{number}");
            assert_eq!(Cursor::new(&out).varint().unwrap(), number);
        }
    }

    #[test]
    fn a_varint_without_end_is_refused() {
        assert!(Cursor::new(&[0x80; 20]).varint().is_err());
        assert!(Cursor::new(&[0x80; 3]).varint().is_err());
        assert!(Cursor::new(&[]).varint().is_err());
    }
}
