//! The kernel's calls, and all of stage 1's `unsafe` code.
//!
//! Everything here except [`bare`](self#bare) is a thin, safe function around one system call. There is no libc and no
//! `rustix`: stage 1 has no standard library, and other crates of the workspace turn on the `std` features of crates
//! that they share with it.
//!
//! # bare
//! `bare/` is compiled into the binary only: the entry point, the panic handler, the choice of the allocator, and the
//! few memory functions that the compiler calls.
#![allow(unsafe_code)]

mod address;
mod device_mapper;
mod dir;
mod errno;
mod fanotify;
mod file;
mod heap;
mod loop_device;
mod make;
mod mount;
mod pages;
mod poll;
mod process;
mod random;
mod socket;
mod syscall;

pub use address::{Address, Mac};
pub use device_mapper::{create_mapped, remove_mapped, start_mapped};
pub use dir::for_each_entry;
pub use errno::Errno;
pub use fanotify::{Opened, Watch};
pub use file::{Fd, Room, room};
pub use file::{
    FileKind, Open, Stat, access_execute, lstat, lstat_at, mkdir, open, open_at, read_link,
    read_link_at, remove_at, replace_stdio, stat, stdio_is_open,
};
pub use heap::Heap;
pub use loop_device::{LoopInfo, configure, configure_in_two_steps, free_number, size_in_bytes};
pub use make::{
    create_at, create_in_memory, make_alike_at, make_directory_at, make_link_at, make_node_at,
    rename_at,
};
pub use mount::{MountFlags, change_dir, change_root, mount, unmount};
pub use poll::{Poll, poll};
pub use process::{
    boot_time, execute, exit, finit_module, fork, kernel_release, own_session, process_id, show_as,
    sleep,
};
pub use random::random;
pub use socket::{
    Packet, Protocol, bind, connect, join_group, no_delay, pair, receive, receive_packet, send,
    send_to, socket, take_error, want_checksum_state,
};
