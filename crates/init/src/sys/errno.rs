//! The kernel's error numbers.

use core::fmt;

use linux_raw_sys::errno;

/// Why the kernel refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u32);

macro_rules! numbers {
    ($($name:ident $text:literal,)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self(errno::$name);)*
        }

        impl fmt::Display for Errno {
            /// What it means and its name in the manuals.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(concat!($text, " (", stringify!($name), ")")),)*
                    Self(number) => write!(f, "error {number}"),
                }
            }
        }
    };
}

numbers! {
    EPERM "not permitted",
    ENOENT "no such file",
    EINTR "interrupted",
    EIO "input/output error",
    ENXIO "no such device or address",
    E2BIG "argument list too long",
    ENOEXEC "not a format that this kernel takes",
    EBADF "not an open file",
    EAGAIN "try again",
    ENOMEM "out of memory",
    EACCES "permission denied",
    EBUSY "busy",
    EBADMSG "damaged data",
    EUCLEAN "damaged file system",
    EEXIST "exists already",
    ENODEV "no such device or file system",
    ENOTDIR "not a directory",
    EISDIR "is a directory",
    EINVAL "invalid argument",
    EFBIG "file too large for this file system",
    ENFILE "too many open files",
    ENOTTY "not supported by this device",
    ENOSPC "no space left",
    EROFS "read-only file system",
    ENAMETOOLONG "name too long",
    ENOTEMPTY "directory not empty",
    ELOOP "too many symbolic links",
    ENOSYS "not known to this kernel",
    EOPNOTSUPP "not supported",
    ENOKEY "signed with a key that this kernel does not know",
    EKEYREJECTED "signature refused",
    EPIPE "the other side has closed the connection",
    EMSGSIZE "message too long",
    EPROTONOSUPPORT "protocol not supported",
    EAFNOSUPPORT "address family not supported",
    EADDRINUSE "address already in use",
    EADDRNOTAVAIL "address not available",
    ENETDOWN "the network is down",
    ENETUNREACH "no route to that network",
    ECONNABORTED "connection aborted",
    ECONNRESET "connection reset by the other side",
    ENOBUFS "no buffer space",
    ENOTCONN "not connected",
    ETIMEDOUT "no answer in time",
    ECONNREFUSED "connection refused",
    EHOSTUNREACH "no route to that machine",
    EINPROGRESS "in progress",
}
