//! newc cpio archives, written and read as a stream
