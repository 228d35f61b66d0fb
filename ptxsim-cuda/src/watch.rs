//! The program's memory that queued copies use, watched for changes.
//!
//! A copy that is queued reads or writes the program's memory when it is done, so until then nobody else may
//! change that memory or free it. What its bytes were when the copy was queued is kept as one number.

use crate::host;
use crate::work::{Copy, Place, Side};

/// What the bytes of a copy's rows were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

/// The program's memory of a copy, if it uses any.
fn host_place(copy: &Copy) -> Option<Place> {
    [copy.from, copy.to].into_iter().find(|place| place.side == Side::Host)
}

impl Fingerprint {
    /// Of the program's memory that a copy uses; none if it uses none.
    ///
    /// # Errors
    /// A sentence, if not all of it is memory of the program.
    pub fn of(copy: &Copy) -> Result<Option<Fingerprint>, String> {
        let Some(place) = host_place(copy) else { return Ok(None) };
        let mut hash = 0;
        for (row, layer) in copy.each_row() {
            hash = hash_bytes(hash, place.row(row, layer), copy.bytes)?;
        }
        Ok(Some(Fingerprint(hash)))
    }
}

/// The first and last address of the program's memory that a copy uses.
pub(crate) fn host_range(copy: &Copy) -> Option<(u64, u64)> {
    let place = host_place(copy)?;
    let last = place.row(copy.rows.saturating_sub(1), copy.layers.saturating_sub(1));
    Some((place.address, last + copy.bytes as u64))
}

/// Mixes the bytes at `address` into `hash`, a multiplication for each eight.
fn hash_bytes(mut hash: u64, address: u64, bytes: usize) -> Result<u64, String> {
    const PIECE: usize = 1 << 16;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut buffer = [0; PIECE];
    for start in (0..bytes).step_by(PIECE) {
        let piece = &mut buffer[..PIECE.min(bytes - start)];
        host::read(address + start as u64, piece)?;
        let (words, rest) = piece.as_chunks::<8>();
        let rest = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        for word in words.iter().map(|word| u64::from_ne_bytes(*word)).chain([rest]) {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
        }
    }
    Ok(hash)
}
