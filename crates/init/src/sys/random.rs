//! Numbers that nobody guesses.

use linux_raw_sys::general as k;

use super::boot_time;
use super::syscall::syscall;

/// A random number, for telling one question from another and for not asking at the same time as other machines: no
/// secret. It never waits, even if the kernel has gathered little randomness so early in the boot.
#[must_use]
pub fn random() -> u32 {
    let mut bytes = [0_u8; 4];
    // The first is known from Linux 5.6 on.
    for flags in [k::GRND_INSECURE, k::GRND_NONBLOCK] {
        // SAFETY: the kernel writes at most `bytes.len()` bytes there.
        let filled = unsafe {
            let (to, len) = (bytes.as_mut_ptr() as usize, bytes.len());
            syscall(k::__NR_getrandom, [to, len, flags as usize])
        };
        if filled == Ok(bytes.len()) {
            return u32::from_ne_bytes(bytes);
        }
    }
    boot_time().subsec_nanos()
}
