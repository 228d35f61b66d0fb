//! Any bytes as PTX: loading them is an error at worst.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _ = ptxsim::Module::parse(&String::from_utf8_lossy(text));
});
