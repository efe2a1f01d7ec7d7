//! Boots machines with layout `fetch`: each reaches stage 2 with the whole store, or says in one sentence what is wrong.
//!
//! The machines are on QEMU's user network, where the servers of the tests are at 10.0.2.2.

#[path = "fetch/images.rs"]
mod images;
#[path = "fetch/machine.rs"]
mod machine;
#[path = "fetch/memory.rs"]
mod memory;
#[path = "fetch/network.rs"]
mod network;
#[path = "fetch/servers.rs"]
mod servers;
#[path = "fetch/stream.rs"]
mod stream;
#[path = "fetch/world.rs"]
mod world;
