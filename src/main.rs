//! The `cugrad` program.

fn main() -> std::process::ExitCode {
    keep_freed_memory();
    cugrad::cli::main()
}

/// Tells the allocator to keep what is freed. A training step frees and asks for the same large
/// buffers again; given back to the system in between, each would cost a page fault per 4 KiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    // SAFETY: no other thread runs yet, and mallopt takes any number; one it does not like it ignores.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}
