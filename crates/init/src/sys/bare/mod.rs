//! What a program without a standard library has to provide itself. Part of the binary, not of the library.
#![allow(unsafe_code)]

mod heap;
mod memory;
mod panic;
mod start;
