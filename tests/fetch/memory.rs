//! A machine that has too little memory for the images.

use storeboot_tests::http::Site;

use crate::machine::{Client, place};
use crate::world::{ended_with, world};

#[test]
fn too_little_memory_is_said_before_the_first_byte() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot).serve();
    let boot = Client::of(world, &[place(&server)]).memory_mib(88).boot();
    ended_with(&boot, &["MiB of memory"]);
    assert!(server.requests().is_empty(), "{boot}");
}
