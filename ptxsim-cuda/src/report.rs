//! What the library says: on stderr, and in the file that `PTXSIM_REPORT` names.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Says `text` on stderr, each line behind the library's name. A reader that has gone away is no error.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let mut whole = String::new();
    for line in text.lines() {
        whole.push_str("ptxsim-cuda: ");
        whole.push_str(line);
        whole.push('\n');
    }
    let _ = std::io::stderr().write_all(whole.as_bytes());
}

/// Says `text` unless it has been said before.
pub(crate) fn say_once(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(text.to_owned()) {
        say(text);
    }
}
