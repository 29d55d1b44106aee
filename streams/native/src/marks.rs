//! Where the strings of a JSON text may end, or hold what they may not: found once, for all that reads it.

/// Places of quotes, backslashes and control characters in a text, a bit for each byte.
#[derive(Default)]
pub struct Marks {
    bits: Vec<u64>,
}

impl Marks {
    /// Find them in a text; what was found in another is dropped.
    pub fn find(&mut self, text: &[u8]) {
        self.bits.clear();
        let mut rest = text;
        while let Some((block, behind)) = rest.split_first_chunk() {
            self.bits.push(marks_of(block));
            rest = behind;
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.bits.push(marks_of(&last));
    }

    /// Go through them from a place on.
    pub fn from(&self, place: usize) -> Walk<'_> {
        let block = place / BLOCK;
        let bits = self.bits.get(block).map_or(0, |bits| bits & u64::MAX << (place % BLOCK));
        Walk { bits: &self.bits, block, left: bits }
    }
}

/// Gives the places of marks in their order.
pub struct Walk<'a> {
    bits: &'a [u64],
    block: usize,
    /// Of the block at hand those that were not given yet.
    left: u64,
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.block += 1;
            self.left = *self.bits.get(self.block)?;
        }
        let place = self.block * BLOCK + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(place)
    }
}

const BLOCK: usize = 64;

/// The compiler makes vectors of this: sixteen bytes are compared at once, whatever the processor.
fn marks_of(block: &[u8; BLOCK]) -> u64 {
    let found: [u8; BLOCK] = std::array::from_fn(|at| u8::from(is_mark(block[at])));
    let mut bits = 0;
    for (place, eight) in found.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes([eight[0], eight[1], eight[2], eight[3], eight[4], eight[5], eight[6], eight[7]]);
        // The product gathers the lowest bits of the eight bytes in its highest byte.
        bits |= (word.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * place);
    }
    bits
}

fn is_mark(byte: u8) -> bool {
    // Each is looked at: no branch stands between the bytes and a vector.
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn a_mark_is_found_at_every_place_and_nothing_else_is_one() {
        let mut marks = Marks::default();
        for length in [0, 1, 63, 64, 65, 127, 128, 200] {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    marks.find(&text);
                    let found = if matches!(byte, b'"' | b'\\' | 0..0x20) { vec![place] } else { vec![] };
                    assert_eq!(marks.from(0).collect::<Vec<_>>(), found, "{byte:#x} at {place} of {length}");
                    assert_eq!(marks.from(place).collect::<Vec<_>>(), found);
                    assert_eq!(marks.from(place + 1).next(), None);
                }
            }
        }
    }

    #[test]
    fn marks_come_in_their_order_from_any_place_on() {
        let text: Vec<u8> = (0..300).map(|at| if at % 7 < 2 { b'"' } else { b'x' }).collect();
        let mut marks = Marks::default();
        marks.find(&text);
        for start in 0..400 {
            let expected: Vec<usize> = (start..300).filter(|at| at % 7 < 2).collect();
            assert_eq!(marks.from(start).collect::<Vec<_>>(), expected);
        }
    }
}
