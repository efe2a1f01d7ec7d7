//! A store in more than one image.

use storeboot_tests::command::names;
use storeboot_tests::http::Site;

use crate::machine::{Client, place};
use crate::world::world;

#[test]
fn all_images_are_fetched() {
    let Some(world) = world() else { return };
    let netboot = world.with_layer();
    assert_eq!(names(&netboot.join("images")).len(), 2);
    let servers = [(); 2].map(|()| Site::of(&netboot).serve());
    let boot = Client::with(&netboot)
        .fetching(&servers.each_ref().map(place))
        .words("storeboot.verify")
        .boot();
    world.is_booted(&boot);
    let verified = boot.lines_with("storeboot.verify: reading all ");
    assert_eq!(verified.count(), 2, "{boot}");
    let protected = boot.lines_with("dm-verity checks images/");
    assert_eq!(protected.count(), 2, "{boot}");
    // Each connection asks for something, and they are spread over the mirrors.
    assert!(servers.iter().all(|server| server.sent() > 0), "{boot}");
}
