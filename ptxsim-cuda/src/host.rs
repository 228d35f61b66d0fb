//! The program's own memory, read and written so that a wrong address is an error and no crash.

use std::io::Error;

/// The system copies no more than this at once.
const AT_ONCE: usize = 1 << 30;

/// Copies `out.len()` bytes of the program's memory at `address`.
pub(crate) fn read(address: u64, out: &mut [u8]) -> Result<(), String> {
    for (part, at) in out.chunks_mut(AT_ONCE).zip((address..).step_by(AT_ONCE)) {
        let local = libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
        let remote = libc::iovec { iov_base: pointer(at), iov_len: part.len() };
        // SAFETY: `local` is the slice, which may be written; the system checks `remote`.
        let done = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
        if is_forbidden(done) {
            // SAFETY: the program gave the address to be read; a system without the checked call cannot
            // tell whether it may be.
            unsafe { std::ptr::copy_nonoverlapping(pointer(at).cast(), part.as_mut_ptr(), part.len()) };
        } else {
            expect_whole(done, at, part.len())?;
        }
    }
    Ok(())
}

/// Copies `data` to the program's memory at `address`.
pub(crate) fn write(address: u64, data: &[u8]) -> Result<(), String> {
    for (part, at) in data.chunks(AT_ONCE).zip((address..).step_by(AT_ONCE)) {
        let local = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        let remote = libc::iovec { iov_base: pointer(at), iov_len: part.len() };
        // SAFETY: `local` is the slice, which is only read; the system checks `remote`, which the program
        // gave to be written.
        let done = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
        if is_forbidden(done) {
            // SAFETY: as in `read`.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), pointer(at).cast(), part.len()) };
        } else {
            expect_whole(done, at, part.len())?;
        }
    }
    Ok(())
}

fn pointer(address: u64) -> *mut libc::c_void {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// Whether the system has no such call, or lets nobody use it, as some containers.
fn is_forbidden(done: isize) -> bool {
    done < 0 && matches!(Error::last_os_error().raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

fn expect_whole(done: isize, address: u64, bytes: usize) -> Result<(), String> {
    if usize::try_from(done) == Ok(bytes) {
        return Ok(());
    }
    Err(format!("{bytes} bytes at {address:#x} are not all memory of this program"))
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn memory_is_copied_and_holes_are_errors() {
        let (from, mut to) = (vec![7u8; 100_000], vec![0u8; 100_000]);
        read(from.as_ptr() as u64, &mut to).unwrap();
        assert_eq!(from, to);
        to.fill(0);
        write(to.as_mut_ptr() as u64, &from).unwrap();
        assert_eq!(std::hint::black_box(&to), &from);
        assert!(read(8, &mut to).unwrap_err().contains("0x8"));
        assert!(write(8, &from).is_err());
    }
}
