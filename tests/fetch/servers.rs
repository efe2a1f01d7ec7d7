//! What a server may do wrong.

use std::time::Duration;

use storeboot_tests::http::{Fault, Server, Site};
use storeboot_tests::qemu::Boot;

use crate::machine::{Client, empty_folder, place};
use crate::world::{World, ended_with, said, world};

/// Boots a machine that fetches from these servers.
fn boot(world: &World, servers: &[&Server], words: &str) -> Boot {
    let places: Vec<String> = servers.iter().map(|server| place(server)).collect();
    Client::of(world, &places).words(words).boot()
}

/// The beginning of a message's URL: the image at this server.
fn image_at(world: &World, server: &Server) -> String {
    server.url(&world.image)
}

#[test]
fn a_server_that_stops_at_half_and_starts_again_is_waited_for() {
    let Some(world) = world() else { return };
    let half = world.image_size / 2;
    let server = Site::of(&world.netboot)
        .stops(half, Duration::from_secs(4))
        .serve();
    let boot = boot(world, &[&server], "");
    world.is_booted(&boot);
    // Only what was under way is asked for again.
    assert!(
        server.sent() < world.image_size + half,
        "{}: {boot}",
        server.sent()
    );
}

#[test]
fn the_right_chunk_comes_from_the_other_mirror() {
    let Some(world) = world() else { return };
    // The first byte of the first mirror is asked for first.
    let folder = world.with_image("one-byte-once", |image| image[0] ^= 1);
    let [wrong, right] = [Site::of(folder).serve(), Site::of(&world.netboot).serve()];
    let boot = boot(world, &[&wrong, &right], "");
    world.is_booted(&boot);
    said(&boot, &[&image_at(world, &wrong), "chunk", " 0"]);
    assert!(right.sent() > 0, "{boot}");
}

#[test]
fn a_chunk_that_is_wrong_everywhere_is_named() {
    let Some(world) = world() else { return };
    let chunk = 3;
    let at = world.byte_in_chunk(chunk);
    let change = |image: &mut Vec<u8>| image[at] ^= 0x40;
    let servers =
        ["one-byte-a", "one-byte-b"].map(|name| Site::of(world.with_image(name, change)).serve());
    let boot = boot(world, &[&servers[0], &servers[1]], "");
    let offset = (chunk << 20).to_string();
    for server in &servers {
        said(&boot, &[&image_at(world, server), &offset]);
    }
    ended_with(&boot, &[&world.image, &offset]);
}

#[test]
fn a_truncated_image_is_named_with_both_sizes() {
    let Some(world) = world() else { return };
    let half = world.image_size / 2;
    let folder = world.with_image("truncated", |image| image.truncate(half as usize));
    let server = Site::of(folder).serve();
    let boot = boot(world, &[&server], "storeboot.patience=20");
    let sizes = [half, world.image_size].map(|size| size.to_string());
    ended_with(&boot, &[&image_at(world, &server), &sizes[0], &sizes[1]]);
}

#[test]
fn the_image_of_another_build_is_refused() {
    let Some(world) = world() else { return };
    let folder = world.with_image("another-build", |image| {
        image.rotate_left(4096);
    });
    let server = Site::of(folder).serve();
    let boot = boot(world, &[&server], "");
    ended_with(&boot, &[&world.image, "SHA-256"]);
}

#[test]
fn a_server_that_sends_nothing_is_given_up() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot)
        .always("images/", Fault::Silent)
        .serve();
    let boot = boot(world, &[&server], "storeboot.patience=25");
    said(&boot, &[&image_at(world, &server), "20 s"]);
    ended_with(&boot, &["25 s"]);
}

#[test]
fn a_server_that_sends_a_byte_a_second_is_left_for_another() {
    let Some(world) = world() else { return };
    let slow = Site::of(&world.netboot)
        .always("images/", Fault::Trickle)
        .serve();
    let good = Site::of(&world.netboot).serve();
    let boot = boot(world, &[&slow, &good], "");
    world.is_booted(&boot);
    said(&boot, &[&image_at(world, &slow), "sent only"]);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot)
        .fault("images/", 5, Fault::Unavailable(Some(2)))
        .serve();
    let boot = boot(world, &[&server], "");
    world.is_booted(&boot);
    said(&boot, &[&image_at(world, &server), "503", "2"]);
}

#[test]
fn redirects_are_followed() {
    let Some(world) = world() else { return };
    let end = Site::of(&world.netboot);
    let end = end.serve();
    let middle = Site::of(&world.netboot)
        .always("c/", Fault::Redirect(308, end.url("images/")))
        .serve();
    let start = Site::of(&world.netboot)
        .always("images/", Fault::Redirect(301, "../a/".into()))
        .always("a/", Fault::Redirect(302, "/b/".into()))
        .always("b/", Fault::Redirect(307, middle.url("c/")))
        .serve();
    let boot = boot(world, &[&start], "");
    world.is_booted(&boot);
    assert_eq!((start.sent(), middle.sent()), (0, 0), "{boot}");
}

#[test]
fn a_redirect_loop_ends() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot)
        .always("images/", Fault::Redirect(302, "/images/".into()))
        .serve();
    let boot = boot(world, &[&server], "storeboot.patience=20");
    ended_with(&boot, &[&image_at(world, &server), "redirect"]);
    assert_eq!(server.sent(), 0);
}

#[test]
fn a_redirect_to_https_is_refused() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot)
        .always(
            "images/",
            Fault::Redirect(301, "https://10.0.2.2/images/".into()),
        )
        .serve();
    let boot = boot(world, &[&server], "storeboot.patience=20");
    ended_with(
        &boot,
        &[&image_at(world, &server), "https://10.0.2.2/images/"],
    );
}

#[test]
fn a_server_without_ranges_serves() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot)
        .always("images/", Fault::Whole)
        .serve();
    let boot = boot(world, &[&server], "");
    world.is_booted(&boot);
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let Some(world) = world() else { return };
    let server = Site::of(empty_folder("no-images")).serve();
    let boot = boot(world, &[&server], "storeboot.patience=20");
    ended_with(&boot, &[&image_at(world, &server), "404"]);
}

#[test]
fn a_mirror_that_does_not_run_does_no_harm() {
    let Some(world) = world() else { return };
    let server = Site::of(&world.netboot).serve();
    // Nothing listens at port 1.
    let places = ["http://10.0.2.2:1".to_owned(), place(&server)];
    let boot = Client::of(world, &places).boot();
    world.is_booted(&boot);
    said(&boot, &["http://10.0.2.2:1/", "refused"]);
}

#[test]
fn a_server_that_does_not_run_is_given_up() {
    let Some(world) = world() else { return };
    let boot = Client::of(world, &["http://10.0.2.2:1/folder/".to_owned()])
        .words("storeboot.patience=8")
        .boot();
    said(&boot, &["http://10.0.2.2:1/folder/images/", "refused"]);
    ended_with(&boot, &["8 s"]);
}
