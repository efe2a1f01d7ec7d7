//! Helpers that the tests share.

pub mod command;
pub mod debian;
pub mod fetch_client;
pub mod fixture;
pub mod http;
pub mod index;
pub mod lan;
pub mod listing;
pub mod nginx;
pub mod qemu;
pub mod sample;
pub mod small_system;
