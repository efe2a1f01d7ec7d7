//! This process, the kernel it runs on, and time.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr::null;
use core::time::Duration;

use linux_raw_sys::general as k;
use linux_raw_sys::prctl as c;
use linux_raw_sys::system::new_utsname;

use super::syscall::syscall;
use super::{Errno, Fd};

/// This process's number (PID).
#[must_use]
pub fn process_id() -> usize {
    // SAFETY: takes nothing, changes nothing.
    unsafe { syscall(k::__NR_getpid, []) }.unwrap_or(0)
}

/// Ends this process. As PID 1 that makes the kernel panic.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: does not return, so nothing can be used afterwards.
        let _ = unsafe { syscall(k::__NR_exit_group, [usize::from(code)]) };
    }
}

/// Becomes another program; returns only if it cannot.
pub fn execute(path: &CStr, args: &[&CStr], env: &[&CStr]) -> Result<Infallible, Errno> {
    let pointers = |list: &[&CStr]| -> Vec<*const core::ffi::c_char> {
        list.iter()
            .map(|text| text.as_ptr())
            .chain([null()])
            .collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    let (path, args, env) = (
        path.as_ptr() as usize,
        args.as_ptr() as usize,
        env.as_ptr() as usize,
    );
    // SAFETY: both lists end in a null pointer, all texts in NUL, and all of it outlives the call.
    match unsafe { syscall(k::__NR_execve, [path, args, env]) } {
        Ok(_) => Err(Errno::EIO),
        Err(errno) => Err(errno),
    }
}

/// Becomes two processes: returns `true` in the new one. It has copies of all that this one has, memory and open files.
pub fn fork() -> Result<bool, Errno> {
    // SAFETY: without flags, the new process shares no memory with this one and goes on with a copy of its stack. This
    // process has one thread, so no lock can be held by another one.
    let child = unsafe { syscall(k::__NR_clone, [k::SIGCHLD as usize, 0, 0, 0, 0]) }?;
    Ok(child == 0)
}

/// Leaves the session of the process that started this one, and its terminal.
pub fn own_session() {
    // SAFETY: takes nothing and touches no memory. It fails only if the session is its own already.
    let _ = unsafe { syscall(k::__NR_setsid, []) };
}

/// Changes what `/proc/PID/cmdline` has of this process, and `ps` shows.
pub fn show_as(line: &CStr) -> Result<(), Errno> {
    // The kernel shows what is in anonymous memory only, as the heap is, and not what lies in the program's file. The heap
    // is below the stack, where the end still is when the start is set.
    let line: &'static CStr = Box::leak(line.into());
    let start = line.as_ptr() as usize;
    let end = start + line.count_bytes() + 1;
    for (what, place) in [(c::PR_SET_MM_ARG_START, start), (c::PR_SET_MM_ARG_END, end)] {
        // SAFETY: the kernel only notes the place, and what is there stays as long as the process.
        unsafe {
            syscall(
                k::__NR_prctl,
                [c::PR_SET_MM as usize, what as usize, place, 0, 0],
            )
        }?;
    }
    Ok(())
}

/// Loads a kernel module from an open file.
pub fn finit_module(file: &Fd) -> Result<(), Errno> {
    // SAFETY: the parameters are an empty text that ends in NUL.
    unsafe { syscall(k::__NR_finit_module, [file.arg(), c"".as_ptr() as usize, 0]) }.map(drop)
}

/// The kernel's release, such as `6.12.95+deb12-cloud-amd64`.
#[must_use]
pub fn kernel_release() -> String {
    let mut names = MaybeUninit::<new_utsname>::zeroed();
    // SAFETY: `names` has the room that the kernel fills, and all zeros are a valid `new_utsname`.
    let names = unsafe {
        let _ = syscall(k::__NR_uname, [names.as_mut_ptr() as usize]);
        names.assume_init()
    };
    let bytes = names
        .release
        .iter()
        .map(|&c| c as u8)
        .take_while(|&c| c != 0);
    bytes.map(char::from).collect()
}

/// The time since the kernel started.
#[must_use]
pub fn boot_time() -> Duration {
    // The layout of `__kernel_timespec`: seconds and nanoseconds.
    let mut now = [0_i64; 2];
    // SAFETY: the kernel writes two 64-bit numbers there.
    let _ = unsafe {
        let to = now.as_mut_ptr() as usize;
        syscall(k::__NR_clock_gettime, [k::CLOCK_BOOTTIME as usize, to])
    };
    Duration::from_secs(now[0] as u64) + Duration::from_nanos(now[1] as u64)
}

/// Waits.
pub fn sleep(time: Duration) {
    let time = [time.as_secs() as i64, i64::from(time.subsec_nanos())];
    // SAFETY: the kernel reads two 64-bit numbers there and is not asked to write the rest of an interrupted wait.
    let _ = unsafe { syscall(k::__NR_nanosleep, [time.as_ptr() as usize, 0]) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_that_others_see_changes() {
        match show_as(c"@a-test") {
            // Only root may.
            Err(Errno::EPERM) => {}
            shown => {
                shown.unwrap();
                let seen = std::fs::read("/proc/self/cmdline").unwrap();
                assert_eq!(seen, b"@a-test\0");
            }
        }
    }
}
