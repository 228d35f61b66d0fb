//! Handles: the opaque pointers that programs hold.
//!
//! A handle is a number that is given once in the life of the process, whatever it stands for. So one that
//! has ended, or stands for something else, is never taken for another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};

/// What a handle is inside.
pub(crate) type Id = u64;

/// Handles start here, where no program has memory, and are this far apart.
const START: u64 = 0x5e00_0000_0000;
const STEP: u64 = 16;

static NEXT: AtomicU64 = AtomicU64::new(START);

/// A number that has not been given before.
pub(crate) fn fresh() -> Id {
    NEXT.fetch_add(STEP, Ordering::Relaxed)
}

/// The things of one kind, by handle.
#[derive(Debug)]
pub(crate) struct Table<T> {
    /// What they are, for messages: `stream`.
    kind: &'static str,
    live: BTreeMap<Id, T>,
    /// The functions that ended those that are gone.
    ended: BTreeMap<Id, &'static str>,
}

impl<T> Table<T> {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, live: BTreeMap::new(), ended: BTreeMap::new() }
    }

    pub fn insert(&mut self, thing: T) -> Id {
        let id = fresh();
        self.live.insert(id, thing);
        id
    }

    pub fn get(&self, id: Id) -> Result<&T> {
        self.live.get(&id).ok_or_else(|| self.missing(id))
    }

    pub fn get_mut(&mut self, id: Id) -> Result<&mut T> {
        if self.live.contains_key(&id) {
            // The entry is there; the error is for the compiler.
            return self.live.get_mut(&id).ok_or_else(|| CUresult::CUDA_ERROR_INVALID_HANDLE.into());
        }
        Err(self.missing(id))
    }

    /// Takes out what the function `call` ends.
    pub fn remove(&mut self, id: Id, call: &'static str) -> Result<T> {
        match self.live.remove(&id) {
            Some(thing) => {
                self.ended.insert(id, call);
                Ok(thing)
            }
            None => Err(self.missing(id)),
        }
    }

    pub fn contains(&self, id: Id) -> bool {
        self.live.contains_key(&id)
    }

    /// The function that ended it, if it has ended.
    pub fn ended_by(&self, id: Id) -> Option<&'static str> {
        self.ended.get(&id).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.live.iter().map(|(&id, thing)| (id, thing))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut T)> {
        self.live.iter_mut().map(|(&id, thing)| (id, thing))
    }

    fn missing(&self, id: Id) -> Error {
        let (kind, code) = (self.kind, CUresult::CUDA_ERROR_INVALID_HANDLE);
        match self.ended.get(&id) {
            Some(call) => Error::misuse(code, format!("the {kind} {id:#x} was ended by {call}")),
            None => Error::new(code, format!("{id:#x} is no {kind}")),
        }
    }
}
