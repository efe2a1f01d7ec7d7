mod network;

use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;
use std::{boxed::Box, format, vec};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use network::{Fault, Network, Server};

const MIB: usize = CHUNK_SIZE as usize;
/// Twelve chunks and a bit.
const SIZE: usize = 12 * MIB + 12_345;
const PATH: &str = "images/a.squashfs";
const ONE: &str = "10.0.0.1:80";
const TWO: &str = "10.0.0.2:80";

/// An image in which no two chunks are alike.
fn image(size: usize) -> Vec<u8> {
    let mut image = vec![0; size];
    for (number, chunk) in image.chunks_mut(MIB).enumerate() {
        chunk.fill(number as u8);
    }
    image
}

fn hashes(image: &[u8]) -> Vec<[u8; 32]> {
    image
        .chunks(MIB)
        .map(|chunk| Sha256::digest(chunk).into())
        .collect()
}

/// Where chunks go: each comes once, and is right.
struct Kept {
    images: Vec<Vec<u8>>,
    kept: Vec<Vec<bool>>,
}

impl Kept {
    fn new(images: &[Vec<u8>]) -> Self {
        Self {
            images: images.to_vec(),
            kept: images
                .iter()
                .map(|image| vec![false; image.len().div_ceil(MIB)])
                .collect(),
        }
    }

    fn is_whole(&self) -> bool {
        self.kept.iter().flatten().all(|kept| *kept)
    }
}

impl Sink for Kept {
    type Error = String;

    fn keep(&mut self, image: usize, offset: u64, chunk: &[u8]) -> Result<(), String> {
        let offset = offset as usize;
        assert_eq!(
            &self.images[image][offset..offset + chunk.len()],
            chunk,
            "a wrong chunk"
        );
        assert_eq!(offset % MIB, 0);
        let kept = &mut self.kept[image][offset / MIB];
        assert!(!*kept, "the chunk at {offset} comes twice");
        *kept = true;
        Ok(())
    }
}

/// Downloads one image from these places.
fn fetch(
    network: &mut Network,
    image: &[u8],
    places: &[&str],
    limits: Limits,
) -> (Result<Summary, Error<String>>, Kept) {
    let images = [image.to_vec()];
    let mut kept = Kept::new(&images);
    let hashes = hashes(image);
    let plan = Plan {
        images: vec![Image {
            path: PATH,
            size: image.len() as u64,
            chunks: &hashes,
            present: Vec::new(),
            later: Vec::new(),
        }],
        places: places.iter().map(|place| place.parse().unwrap()).collect(),
        limits,
    };
    (download(&plan, network, &mut kept), kept)
}

/// Downloads an image from two places; all of it has to arrive.
fn arrives(one: Server, two: Server) -> (Network, Summary) {
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, one).with(TWO, two);
    let places = ["http://10.0.0.1/", "http://10.0.0.2/"];
    let (result, kept) = fetch(&mut network, &image, &places, Limits::default());
    let summary = result.unwrap_or_else(|error| panic!("{error}; {:#?}", network.troubles));
    assert!(kept.is_whole());
    assert_eq!(summary.bytes, image.len() as u64);
    (network, summary)
}

fn good() -> Server {
    Server::new("/images/a.squashfs", &image(SIZE))
}

/// The error of a download from one place.
fn fails(server: Server, place: &str) -> (Network, Error<String>) {
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, server);
    let limits = Limits {
        patience: Duration::from_secs(100),
        ..Limits::default()
    };
    let (result, _) = fetch(&mut network, &image, &[place], limits);
    let error = result.expect_err("it fails");
    (network, error)
}

fn says(network: &Network, words: &str) {
    assert!(
        network.troubles.iter().any(|said| said.contains(words)),
        "{words}: {:#?}",
        network.troubles
    );
}

#[test]
fn two_places_share_the_work() {
    let (network, summary) = arrives(good(), good());
    assert!(network.troubles.is_empty(), "{:?}", network.troubles);
    assert!(network.server(ONE).requests > 1 && network.server(TWO).requests > 1);
    assert!(summary.requests < 30, "{summary:?}");
}

#[test]
fn a_slow_place_does_not_decide_how_long_it_takes() {
    let image = image(40 * MIB);
    let took = |slow_rate: u64, places: &[&str]| {
        let mut slow = Server::new("/images/a.squashfs", &image);
        slow.rate = slow_rate;
        let quick = Server::new("/images/a.squashfs", &image);
        let mut network = Network::new().with(ONE, slow).with(TWO, quick);
        let (result, kept) = fetch(&mut network, &image, places, Limits::default());
        let summary = result.unwrap();
        assert!(kept.is_whole());
        let mut troubles = network.troubles.iter();
        assert!(
            troubles.all(|said| said.contains("sent only")),
            "{:?}",
            network.troubles
        );
        assert!(summary.requests < 60, "{summary:?}");
        summary.time
    };
    // Of the first four requests for five chunks each, the slow place gets two.
    for slow in [25 << 10, 200 << 10, 2 << 20] {
        for places in [
            ["http://10.0.0.1", "http://10.0.0.2"],
            ["http://10.0.0.2", "http://10.0.0.1"],
        ] {
            let time = took(slow, &places);
            assert!(
                time < Duration::from_secs(6),
                "{slow} bytes a second: {time:?}"
            );
        }
    }
}

/// Somebody waits for ten chunks, one after the other.
fn a_chunk_a_minute(now: Duration) -> Next {
    Next {
        wanted: Some((0, now.as_secs() / 60 * CHUNK_SIZE)),
        only: now.as_secs() < 600,
        ..Next::default()
    }
}

#[test]
fn what_somebody_waits_for_comes_from_the_faster_place() {
    let image = image(SIZE);
    let mut slow = good();
    slow.rate = 100 << 10;
    let mut network = Network::new().with(ONE, slow).with(TWO, good());
    network.next = Box::new(a_chunk_a_minute);
    let places = ["http://10.0.0.1", "http://10.0.0.2"];
    let (result, kept) = fetch(&mut network, &image, &places, Limits::default());
    result.unwrap();
    assert!(kept.is_whole());
    let from = |address: &str| {
        network.asked[..10]
            .iter()
            .filter(|url| url.contains(address))
            .count()
    };
    assert_eq!(
        (from("10.0.0.1"), from("10.0.0.2")),
        (1, 9),
        "{:#?}",
        network.asked
    );
}

#[test]
fn what_somebody_waits_for_is_not_asked_of_a_silent_place_each_time() {
    let image = image(SIZE);
    let silent = good().always(Fault::Silent);
    let mut network = Network::new().with(ONE, silent).with(TWO, good());
    network.next = Box::new(a_chunk_a_minute);
    let places = ["http://10.0.0.1", "http://10.0.0.2"];
    let limits = Limits {
        silence: Duration::from_secs(5),
        longest_wait: Duration::from_secs(5),
        ..Limits::default()
    };
    let (result, kept) = fetch(&mut network, &image, &places, limits);
    result.unwrap();
    assert!(kept.is_whole());
    let silent = network.asked[..10]
        .iter()
        .filter(|url| url.contains("10.0.0.1"));
    assert!(silent.count() <= 2, "{:#?}", network.asked);
}

#[test]
fn chunks_that_are_there_are_not_fetched() {
    let image = image(5 * MIB + 1);
    let hashes = hashes(&image);
    let mut kept = Kept::new(std::slice::from_ref(&image));
    let mut network = Network::new().with(ONE, Server::new("/images/a.squashfs", &image));
    let plan = Plan {
        images: vec![Image {
            path: PATH,
            size: image.len() as u64,
            chunks: &hashes,
            present: vec![true, false, true, true, false],
            later: Vec::new(),
        }],
        places: vec!["http://10.0.0.1".parse().unwrap()],
        limits: Limits::default(),
    };
    let summary = download(&plan, &mut network, &mut kept).unwrap();
    assert_eq!(kept.kept[0], [false, true, false, false, true, true]);
    assert_eq!(summary.bytes, 2 * CHUNK_SIZE + 1);
}

#[test]
fn chunks_that_are_left_for_later_are_in_no_sum() {
    let image = image(5 * MIB + 1);
    let hashes = hashes(&image);
    let mut kept = Kept::new(std::slice::from_ref(&image));
    let mut network = Network::new().with(ONE, Server::new("/images/a.squashfs", &image));
    let mut plan = Plan {
        images: vec![Image {
            path: PATH,
            size: image.len() as u64,
            chunks: &hashes,
            present: vec![true],
            // One of them is there already, and two are behind the end.
            later: vec![true, false, true, false, false, true, true, true],
        }],
        places: vec!["http://10.0.0.1".parse().unwrap()],
        limits: Limits {
            patience: Duration::from_secs(100),
            ..Limits::default()
        },
    };
    let summary = download(&plan, &mut network, &mut kept).unwrap();
    assert_eq!(kept.kept[0], [false, true, false, true, true, false]);
    assert_eq!(summary.bytes, 3 * CHUNK_SIZE);

    let (mut network, mut kept) = (Network::new(), Kept::new(std::slice::from_ref(&image)));
    let error = download(&plan, &mut network, &mut kept).unwrap_err();
    let Error::Patience { done, total, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((done, total), (CHUNK_SIZE, 4 * CHUNK_SIZE));

    plan.images[0].later = vec![true; 6];
    let summary = download(&plan, &mut network, &mut kept).unwrap();
    assert_eq!(summary.bytes, 0);
}

#[test]
fn the_chunk_that_somebody_waits_for_comes_first() {
    let image = image(SIZE);
    let fetched = |wanted: (usize, u64)| {
        let mut network = Network::new().with(ONE, good());
        network.next = Box::new(move |_| Next {
            wanted: Some(wanted),
            ..Next::default()
        });
        let places = ["http://10.0.0.1"];
        let (result, kept) = fetch(&mut network, &image, &places, Limits::default());
        result.unwrap();
        assert!(kept.is_whole());
        network.asked.swap_remove(0)
    };
    for (wanted, first) in [
        ((0, 9 * CHUNK_SIZE + 7), 9 * CHUNK_SIZE),
        ((0, SIZE as u64 - 1), 12 * CHUNK_SIZE),
        // There is no such chunk.
        ((0, 13 * CHUNK_SIZE), 0),
        ((0, u64::MAX), 0),
        ((1, 0), 0),
    ] {
        let expected = format!("http://10.0.0.1/images/a.squashfs {first} ");
        let asked = fetched(wanted);
        assert!(asked.starts_with(&expected), "{asked}");
    }
}

#[test]
fn nothing_but_what_somebody_waits_for_may_be_asked_for() {
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, good());
    // Longer than the patience.
    let later = Duration::from_secs(1000);
    network.next = Box::new(move |now| Next {
        wanted: (now.as_secs() >= 500).then_some((0, 5 * CHUNK_SIZE)),
        only: now < later,
        ..Next::default()
    });
    let limits = Limits {
        patience: Duration::from_secs(100),
        ..Limits::default()
    };
    let (result, kept) = fetch(&mut network, &image, &["http://10.0.0.1"], limits);
    result.unwrap();
    assert!(kept.is_whole() && network.now >= later);
    let begins = |request: &str, offset: u64| {
        let expected = format!("http://10.0.0.1/images/a.squashfs {offset} ");
        assert!(request.starts_with(&expected), "{request}");
    };
    begins(&network.asked[0], 5 * CHUNK_SIZE);
    assert!(network.asked[0].ends_with(&format!(" {CHUNK_SIZE}")));
    begins(&network.asked[1], 0);
}

#[test]
fn a_machine_may_stop_the_download() {
    let image = image(SIZE);
    let mut slow = good();
    slow.rate = MIB as u64;
    let mut network = Network::new().with(ONE, slow);
    let end = Duration::from_secs(8);
    network.next = Box::new(move |now| Next {
        stop: now >= end,
        ..Next::default()
    });
    let (result, kept) = fetch(
        &mut network,
        &image,
        &["http://10.0.0.1"],
        Limits::default(),
    );
    assert_eq!(result, Err(Error::Stopped));
    assert!(
        !kept.is_whole() && kept.kept[0].contains(&true),
        "{:?}",
        kept.kept
    );
    assert!((end..end + Duration::from_secs(2)).contains(&network.now));
}

#[test]
fn several_images_and_an_empty_plan() {
    let images = [image(3 * MIB), image(10), image(2 * MIB + 5)];
    let hashes: Vec<_> = images.iter().map(|image| hashes(image)).collect();
    let paths = ["a", "b", "c"];
    let mut server = Server::new("/a", &images[0]);
    server.files.insert("/b".into(), images[1].clone());
    server.files.insert("/c".into(), images[2].clone());
    let mut network = Network::new().with(ONE, server);
    let mut kept = Kept::new(&images);
    let mut plan = Plan {
        images: (0..3)
            .map(|at| Image {
                path: paths[at],
                size: images[at].len() as u64,
                chunks: &hashes[at],
                present: Vec::new(),
                later: Vec::new(),
            })
            .collect(),
        places: vec!["http://10.0.0.1".parse().unwrap()],
        limits: Limits::default(),
    };
    download(&plan, &mut network, &mut kept).unwrap();
    assert!(kept.is_whole());
    plan.images.clear();
    assert_eq!(download(&plan, &mut network, &mut kept).unwrap().bytes, 0);
    plan.places.clear();
    assert_eq!(
        download(&plan, &mut network, &mut kept),
        Err(Error::NoPlaces)
    );
}

#[test]
fn a_server_that_dies_is_waited_for() {
    let mut server = good();
    server.rate = 1 << 20;
    server.down = vec![(7, 60)];
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, server);
    let (result, kept) = fetch(
        &mut network,
        &image,
        &["http://10.0.0.1"],
        Limits::default(),
    );
    let summary = result.unwrap();
    assert!(kept.is_whole());
    assert!(network.now.as_secs() > 60);
    says(&network, "connection refused");
    assert!(network.troubles.len() < 40, "{:#?}", network.troubles);
    assert!(summary.requests < 80, "{summary:?}");
}

#[test]
fn one_dead_place_of_two_does_no_harm() {
    let mut dead = good();
    dead.down = vec![(0, u64::MAX)];
    let (network, _) = arrives(dead, good());
    says(
        &network,
        "http://10.0.0.1/images/a.squashfs: no connection to the server (connection refused)",
    );
}

#[test]
fn a_wrong_byte_is_asked_for_elsewhere() {
    let at = 7 * CHUNK_SIZE + 3;
    let (network, summary) = arrives(good().always(Fault::Flip(at)), good());
    if summary.wrong > 0 {
        says(
            &network,
            &format!(
                "10.0.0.1/images/a.squashfs: the chunk at byte {} has not the SHA-256",
                7 * CHUNK_SIZE
            ),
        );
        assert_eq!(summary.wrong, 1, "the other place is asked first");
    }
    let (_, error) = fails(good().always(Fault::Flip(at)), "http://10.0.0.1");
    let Error::Wrong { offset, url, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (*offset, url.as_str()),
        (7 * CHUNK_SIZE, "http://10.0.0.1/images/a.squashfs")
    );
}

#[test]
fn a_wrong_byte_everywhere_is_an_error() {
    let image = image(4 * MIB);
    let bad = || Server::new("/images/a.squashfs", &image).always(Fault::Flip(5));
    let mut network = Network::new().with(ONE, bad()).with(TWO, bad());
    let places = ["http://10.0.0.1/", "http://10.0.0.2/"];
    let (result, _) = fetch(&mut network, &image, &places, Limits::default());
    assert!(
        matches!(result, Err(Error::Wrong { offset: 0, .. })),
        "{result:?}"
    );
    assert_eq!(network.troubles.len(), 6, "{:#?}", network.troubles);
}

#[test]
fn a_file_of_another_size_is_told() {
    let (network, error) = fails(good().always(Fault::Truncated(9 * MIB)), "http://10.0.0.1");
    assert!(matches!(error, Error::Nowhere { .. }), "{error}");
    let words = format!(
        "the file has {} bytes there and the store image {}",
        9 * MIB,
        SIZE
    );
    assert!(error.to_string().contains(&words), "{error}");
    assert!(
        network.now.as_secs() < 30,
        "it does not get better by waiting"
    );
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    for fault in [Fault::NoRange, Fault::Http10] {
        let (network, summary) = arrives(good().always(fault.clone()), good().always(fault));
        assert!(network.troubles.is_empty(), "{:?}", network.troubles);
        assert!(summary.requests < 10, "{summary:?}");
    }
    let mut slow = good().always(Fault::NoRange);
    slow.rate = 1 << 20;
    arrives(slow, good());

    let image = image(SIZE);
    let mut network = Network::new().with(ONE, good().always(Fault::NoRange));
    let (result, _) = fetch(
        &mut network,
        &image,
        &["http://10.0.0.1"],
        Limits::default(),
    );
    result.unwrap();
    let sent = network.server(ONE).sent;
    assert!(sent < SIZE + 2 * MIB, "it is read once: {sent}");
}

#[test]
fn redirects_are_followed_and_loops_are_not() {
    let to = |location: &str| Fault::Status(302, format!("Location: {location}\r\n"));
    let (network, _) = arrives(
        good().always(to("http://10.0.0.2/images/a.squashfs")),
        good(),
    );
    assert!(network.troubles.is_empty());
    assert_eq!(
        network.server(ONE).requests.min(5),
        network.server(ONE).requests,
        "it is remembered"
    );
    let (network, error) = fails(good().always(to("/images/a.squashfs")), "http://10.0.0.1");
    assert!(
        error.to_string().contains("redirects more than 5 times"),
        "{error}"
    );
    assert!(network.server(ONE).requests <= 24);
    let (_, error) = fails(good().always(to("https://10.0.0.1/x")), "http://10.0.0.1");
    assert!(error.to_string().contains("stage 1 has no TLS"), "{error}");
    let (_, error) = fails(
        good().always(Fault::Status(301, String::new())),
        "http://10.0.0.1",
    );
    assert!(error.to_string().contains("without a place"), "{error}");
}

#[test]
fn a_redirect_that_is_not_good_any_more_is_forgotten() {
    let to = || {
        Fault::Status(
            303,
            "Location: http://10.0.0.2/images/a.squashfs\r\n".into(),
        )
    };
    let mut two = good();
    // It lets machines have two answers, and then wants another URL.
    two.faults = vec![Fault::None, Fault::None, Fault::Status(403, String::new())];
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, good().always(to())).with(TWO, two);
    let limits = Limits {
        connections: 1,
        chunks_per_request: 1,
        ..Limits::default()
    };
    let (result, kept) = fetch(&mut network, &image, &["http://10.0.0.1"], limits);
    result.unwrap_or_else(|error| panic!("{error}; {:#?}", network.troubles));
    assert!(kept.is_whole());
    says(&network, "the server answers 403");

    let two = good().always(Fault::Status(403, String::new()));
    let mut network = Network::new().with(ONE, good().always(to())).with(TWO, two);
    let (result, _) = fetch(&mut network, &image, &["http://10.0.0.1"], limits);
    assert!(matches!(result, Err(Error::Nowhere { .. })), "{result:?}");
}

#[test]
fn a_busy_server_is_asked_when_it_says() {
    let mut busy = good();
    busy.faults = vec![Fault::Status(503, "Retry-After: 30\r\n".into()); 4];
    let image = image(SIZE);
    let mut network = Network::new().with(ONE, busy);
    let (result, _) = fetch(
        &mut network,
        &image,
        &["http://10.0.0.1"],
        Limits::default(),
    );
    result.unwrap();
    says(
        &network,
        "the server answers 503 (it is busy); asking again in 3",
    );
    assert!(network.now.as_secs() >= 35, "{:?}", network.now);

    // A wait of no time is none.
    let busy = Fault::Status(503, "Retry-After: 0\r\n".into());
    let (network, error) = fails(good().always(busy), "http://10.0.0.1");
    assert!(matches!(error, Error::Patience { .. }), "{error}");
    assert!(network.asked.len() < 60, "{}", network.asked.len());
}

#[test]
fn what_a_server_does_not_have_ends_the_download_at_once() {
    for status in [400, 403, 404, 410] {
        let (network, error) = fails(
            good().always(Fault::Status(status, String::new())),
            "http://10.0.0.1",
        );
        assert!(matches!(error, Error::Nowhere { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("the server answers {status}")),
            "{error}"
        );
        assert!(network.now.as_secs() < 10);
    }
    let (_, _) = arrives(good().always(Fault::Status(404, String::new())), good());
}

#[test]
fn a_silent_and_a_slow_server_are_left() {
    for (fault, words) in [
        (Fault::Silent, "sent nothing for 20 s"),
        (Fault::Trickle, "in 30 s, at byte"),
    ] {
        let (network, summary) = arrives(good().always(fault.clone()), good());
        says(
            &network,
            "http://10.0.0.1/images/a.squashfs: the server sent only 0 bytes in",
        );
        assert!(summary.time.as_secs() < 10, "{summary:?}");
        let (network, error) = fails(good().always(fault), "http://10.0.0.1");
        says(&network, words);
        assert!(matches!(error, Error::Patience { .. }), "{error}");
        assert!(
            (100..140).contains(&(network.now.as_secs() - 5)),
            "{:?}",
            network.now
        );
    }
}

#[test]
fn a_name_is_looked_up_and_a_missing_one_is_told() {
    let image = image(3 * MIB);
    let mut network = Network::new().with(ONE, Server::new("/images/a.squashfs", &image));
    network.names.insert(
        "boot.example".into(),
        vec!["10.9.9.9".parse().unwrap(), "10.0.0.1".parse().unwrap()],
    );
    let (result, _) = fetch(
        &mut network,
        &image,
        &["http://boot.example"],
        Limits::default(),
    );
    result.unwrap();
    let (network, error) = fails(good(), "http://boot.example");
    assert!(
        error
            .to_string()
            .contains("the name of the server is not found (no such name)"),
        "{error}"
    );
    assert!(network.troubles.len() < 60);
}

#[test]
fn another_address_is_tried_after_a_failure() {
    for fault in [
        Fault::Silent,
        Fault::Trickle,
        Fault::CutAfter(20),
        Fault::Garbage(Vec::new()),
        Fault::Status(502, String::new()),
    ] {
        let mut network = Network::new()
            .with(ONE, good().always(fault))
            .with(TWO, good());
        let addresses = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        network
            .names
            .insert("boot.example".into(), addresses.into());
        let image = image(SIZE);
        let (result, kept) = fetch(
            &mut network,
            &image,
            &["http://boot.example"],
            Limits::default(),
        );
        result.unwrap_or_else(|error| panic!("{error}; {:#?}", network.troubles));
        assert!(kept.is_whole());
        assert!(network.server(ONE).requests <= 4, "{:#?}", network.asked);
    }
}

#[test]
fn a_name_that_is_not_found_does_not_hold_up_another_place() {
    let image = image(40 * MIB);
    let mut server = Server::new("/images/a.squashfs", &image);
    server.rate = 1 << 20;
    let mut network = Network::new().with(ONE, server);
    network.lookup = Duration::from_secs(11);
    let places = ["http://10.0.0.1", "http://boot.example"];
    let (result, kept) = fetch(&mut network, &image, &places, Limits::default());
    let time = result.unwrap().time.as_secs();
    assert!(kept.is_whole());
    // Ten of them are needed by four connections.
    assert!(time < 10 + 3 * 11, "{time} s; {:#?}", network.troubles);
}

#[test]
fn a_connection_that_ends_is_opened_again() {
    let (network, _) = arrives(
        good().always(Fault::CutAfter(MIB / 2 + 1)),
        good().always(Fault::CutAfter(5 * MIB)),
    );
    says(&network, "the server closed the connection before byte");
    let (network, _) = arrives(
        good().always(Fault::ClosesAfter),
        good().always(Fault::TooMuch),
    );
    assert!(network.troubles.is_empty(), "{:#?}", network.troubles);
}

#[test]
fn an_encoded_answer_and_other_bytes_are_refused() {
    let (_, error) = fails(
        good().always(Fault::Garbage(
            b"HTTP/1.1 206 x\r\nContent-Encoding: gzip\r\n\r\n".to_vec(),
        )),
        "http://10.0.0.1",
    );
    assert!(error.to_string().contains("encoded as \"gzip\""), "{error}");
    let other =
        b"HTTP/1.1 206 x\r\nContent-Range: bytes 1-2/12595257\r\nContent-Length: 2\r\n\r\nxx";
    let (_, error) = fails(
        good().always(Fault::Garbage(other.to_vec())),
        "http://10.0.0.1",
    );
    assert!(
        error
            .to_string()
            .contains("other bytes than those from byte"),
        "{error}"
    );
    let (_, error) = fails(
        good().always(Fault::Garbage(b"SSH-2.0\r\n".to_vec())),
        "http://10.0.0.1",
    );
    assert!(error.to_string().contains("is not HTTP"), "{error}");
}

#[test]
fn progress_is_told_every_two_seconds() {
    let mut slow = good();
    slow.rate = 1 << 20;
    let image = image(20 * MIB);
    slow.files
        .insert("/images/a.squashfs".into(), image.clone());
    let mut network = Network::new().with(ONE, slow);
    let (result, _) = fetch(
        &mut network,
        &image,
        &["http://10.0.0.1"],
        Limits::default(),
    );
    let seconds = result.unwrap().time.as_secs();
    assert!(
        (seconds / 2 - 1..=seconds / 2 + 1).contains(&(network.reports as u64)),
        "{seconds} {}",
        network.reports
    );
}

#[test]
fn a_sink_that_fails_ends_the_download() {
    struct Full;
    impl Sink for Full {
        type Error = &'static str;
        fn keep(&mut self, _: usize, _: u64, _: &[u8]) -> Result<(), &'static str> {
            Err("no room")
        }
    }
    let image = image(3 * MIB);
    let hashes = hashes(&image);
    let mut network = Network::new().with(ONE, Server::new("/images/a.squashfs", &image));
    let plan = Plan {
        images: vec![Image {
            path: PATH,
            size: image.len() as u64,
            chunks: &hashes,
            present: Vec::new(),
            later: Vec::new(),
        }],
        places: vec!["http://10.0.0.1".parse().unwrap()],
        limits: Limits::default(),
    };
    let error = download(&plan, &mut network, &mut Full).unwrap_err();
    assert_eq!(error.to_string(), "no room");
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::Silent),
        1 => Just(Fault::Trickle),
        1 => Just(Fault::NoRange),
        1 => Just(Fault::Http10),
        1 => Just(Fault::ClosesAfter),
        1 => Just(Fault::TooMuch),
        2 => (0..3 * CHUNK_SIZE).prop_map(Fault::Flip),
        1 => (0..3 * MIB).prop_map(Fault::Truncated),
        2 => (0..2 * MIB).prop_map(Fault::CutAfter),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Fault::Garbage),
        2 => (200_u16..600, "((Retry-After|Location|Content-Range|Content-Length): [ -~]{0,20}\r\n){0,2}")
            .prop_map(|(status, headers)| Fault::Status(status, headers)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_servers_do_no_wrong_chunk_is_kept_and_it_ends(
        faults in prop::collection::vec(prop::collection::vec(any_fault(), 0..12), 2),
        rest in prop::collection::vec(any_fault(), 2),
        down in 0_u64..40,
        more in 0..3 * MIB,
    ) {
        let image = image(3 * MIB + more);
        let mut network = Network::new();
        for (address, (faults, rest)) in [ONE, TWO].into_iter().zip(faults.into_iter().zip(rest)) {
            let mut server = Server::new("/images/a.squashfs", &image).always(rest);
            server.faults = faults;
            server.down = vec![(5, down)];
            network = network.with(address, server);
        }
        let limits = Limits { patience: Duration::from_secs(120), ..Limits::default() };
        let places = ["http://10.0.0.1/", "http://10.0.0.2/"];
        let (result, kept) = fetch(&mut network, &image, &places, limits);
        match result {
            Ok(summary) => {
                prop_assert!(kept.is_whole());
                prop_assert_eq!(summary.bytes, image.len() as u64);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        // Each of at most six chunks may come just before patience is over.
        prop_assert!(network.now < Duration::from_secs(7 * 130), "{:?}", network.now);
        prop_assert!(network.asked.len() < 2000, "{}", network.asked.len());
    }
}
