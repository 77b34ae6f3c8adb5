//! Masking (RFC 6455, 5.3): XOR with a key of four bytes that repeats. The same operation masks and unmasks.

/// A masking key as it stands before the next payload byte.
///
/// A payload may arrive in pieces of any length, so the key turns with what it has been applied to: its first byte
/// (the lowest of the number) always belongs to the next byte of the payload.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Key(u32);

impl Key {
    /// The key of a frame, before its first byte.
    #[inline]
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(key))
    }

    /// Passes over so many bytes of the payload.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.0 = self.0.rotate_right(8 * (bytes % 4) as u32);
    }

    /// Masks or unmasks the next piece of the payload in place.
    #[inline]
    pub(super) fn apply(&mut self, payload: &mut [u8]) {
        // Blocks for the compiler to make vector instructions of, then what is left of a block: at most one half, one word, and some bytes.
        let key = self.0.to_le_bytes();
        let block_key: [u8; BLOCK] = std::array::from_fn(|i| key[i % 4]);
        let (blocks, rest) = payload.as_chunks_mut::<BLOCK>();
        for block in blocks {
            for (byte, key) in block.iter_mut().zip(block_key) {
                *byte ^= key;
            }
        }
        let (halves, rest) = rest.as_chunks_mut::<8>();
        if let [half, ..] = halves {
            let twice = u64::from(self.0) | u64::from(self.0) << 32;
            *half = (u64::from_le_bytes(*half) ^ twice).to_le_bytes();
        }
        let (words, rest) = rest.as_chunks_mut::<4>();
        if let [word, ..] = words {
            *word = (u32::from_le_bytes(*word) ^ self.0).to_le_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key) {
            *byte ^= key;
        }
        // Whole blocks and words leave the key where it was.
        self.0 = self.0.rotate_right(8 * rest.len() as u32);
    }
}

/// How many bytes are masked at once: what every x86-64 and every 64-bit ARM has a register for.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::Key;

    /// The definition, byte by byte.
    fn by_definition(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    #[test]
    fn agrees_with_the_definition_at_every_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..200 {
            let payload: Vec<u8> = (0..len).map(|i| (i * 7 + 3) as u8).collect();
            let mut masked = payload.clone();
            Key::new(key).apply(&mut masked);
            assert_eq!(masked, by_definition(&payload, key), "{len} bytes");
        }
    }

    #[test]
    fn pieces_of_any_length_give_what_the_whole_gives() {
        let key = [1, 2, 4, 8];
        let payload: Vec<u8> = (0..97).collect();
        for first in 0..=payload.len() {
            for second in first..=payload.len() {
                let mut masked = payload.clone();
                let mut turning = Key::new(key);
                turning.apply(&mut masked[..first]);
                turning.apply(&mut masked[first..second]);
                turning.apply(&mut masked[second..]);
                assert_eq!(masked, by_definition(&payload, key), "cut at {first} and {second}");
            }
        }
    }

    /// The example of RFC 6455, 5.7.
    #[test]
    fn unmasks_the_hello_of_the_rfc() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        Key::new([0x37, 0xfa, 0x21, 0x3d]).apply(&mut payload);
        assert_eq!(&payload, b"Hello");
    }
}
