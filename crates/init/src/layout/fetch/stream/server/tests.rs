use std::thread;

use storeboot_index::{CHUNK_SIZE, Chunks};

use super::super::request::ANSWER;
use super::super::request::tests::bytes;
use super::*;

const MIB: u64 = CHUNK_SIZE;
const PATIENCE: Duration = Duration::from_secs(600);

/// An image of three chunks in memory, filled with their numbers.
fn image() -> (Fd, There) {
    let file = sys::create_in_memory(c"test").unwrap();
    for number in 0..3_u8 {
        let chunk = std::vec![number; MIB as usize];
        crate::write_at::write_all_at(&file, &chunk, u64::from(number) * MIB).unwrap();
    }
    let there = There::new(&Chunks::new(std::vec![std::vec![[0; 32]; 3]])).unwrap();
    (file, there)
}

/// Serves the image, and runs `kernel` with the other end of the socket.
fn with_server(there: &There, file: &Fd, patience: Duration, kernel: impl FnOnce(Fd)) {
    let (ours, socket) = sys::pair().unwrap();
    let export = Export {
        image: 0,
        size: 3 * MIB,
        file,
        socket,
    };
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(std::vec![export], there, patience));
        // Closing the socket ends the server.
        kernel(ours);
        server.join().unwrap();
    });
}

fn ask(socket: &Fd, kind: u32, cookie: u64, offset: u64, length: u32) {
    send_all(socket, &bytes(kind, cookie, offset, length)).unwrap();
}

/// The error and the cookie of the next answer.
fn head(socket: &Fd) -> (u32, u64) {
    let mut head = [0; ANSWER];
    receive_all(socket, &mut head).unwrap();
    let error = u32::from_be_bytes(head[4..8].try_into().unwrap());
    (error, u64::from_be_bytes(head[8..].try_into().unwrap()))
}

fn data(socket: &Fd, length: usize) -> Vec<u8> {
    let mut data = std::vec![0xff; length];
    receive_all(socket, &mut data).unwrap();
    data
}

#[test]
fn what_is_there_is_answered_at_once_and_what_is_not_when_it_comes() {
    let (file, there) = image();
    there.add((0, 0)).unwrap();
    with_server(&there, &file, PATIENCE, |socket| {
        ask(&socket, 0, 1, MIB - 512, 1024);
        ask(&socket, 0, 2, 0, 4096);
        // The second does not wait for the first.
        assert_eq!(head(&socket), (0, 2));
        assert_eq!(data(&socket, 4096), [0; 4096]);
        while there.wanted() != Some((0, MIB)) {
            thread::yield_now();
        }
        there.add((0, MIB)).unwrap();
        assert_eq!(head(&socket), (0, 1));
        assert_eq!(data(&socket, 1024), [[0; 512], [1; 512]].concat());
        while there.wanted().is_some() {
            thread::yield_now();
        }
        // More than a socket's buffer holds.
        ask(&socket, 0, 3, 0, 2 << 20);
        assert_eq!(head(&socket), (0, 3));
        assert_eq!(data(&socket, 2 << 20)[(1 << 20) - 1..][..2], [0, 1]);
        ask(&socket, 2, 4, 0, 0);
        assert_eq!(sys::receive(&socket, &mut [0]), Ok(0));
    });
}

#[test]
fn what_does_not_come_in_time_is_an_error() {
    let (file, there) = image();
    with_server(&there, &file, Duration::from_millis(20), |socket| {
        ask(&socket, 0, 1, 0, 512);
        assert_eq!(head(&socket), (Errno::EIO.0, 1));
        there.add((0, 0)).unwrap();
        ask(&socket, 0, 2, 0, 512);
        assert_eq!(head(&socket), (0, 2));
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (file, there) = image();
    for chunk in 0..3 {
        there.add((0, chunk * MIB)).unwrap();
    }
    with_server(&there, &file, PATIENCE, |socket| {
        for (kind, offset, length) in [
            (0, 3 * MIB - 512, 1024),
            (0, u64::MAX, 1),
            (0, 0, u32::MAX),
            (4, 0, 512),
        ] {
            ask(&socket, kind, 9, offset, length);
            assert_eq!(head(&socket), (Errno::EINVAL.0, 9));
        }
        ask(&socket, 0, 10, 3 * MIB - 512, 512);
        assert_eq!(
            (head(&socket), data(&socket, 512)),
            ((0, 10), std::vec![2; 512])
        );
        send_all(&socket, &[0; REQUEST]).unwrap();
        assert_eq!(sys::receive(&socket, &mut [0]), Ok(0));
    });
}

#[test]
fn a_read_whose_chunk_does_not_come_does_not_keep_others_waiting() {
    let (file, there) = image();
    with_server(&there, &file, PATIENCE, |socket| {
        ask(&socket, 0, 1, 0, 512);
        ask(&socket, 0, 2, 2 * MIB, 512);
        while there.wanted() != Some((0, 2 * MIB)) {
            thread::sleep(LOOK);
        }
        there.add((0, 2 * MIB)).unwrap();
        assert_eq!(
            (head(&socket), data(&socket, 512)),
            ((0, 2), std::vec![2; 512])
        );
        while there.wanted() != Some((0, 0)) {
            thread::sleep(LOOK);
        }
    });
}

#[test]
fn images_are_answered_each_on_its_own_until_the_last_is_disconnected() {
    let (file, there) = image();
    there.add((0, 0)).unwrap();
    let pairs = [(); 2].map(|()| sys::pair().unwrap());
    let [(one, first), (other, second)] = pairs;
    let export = |image, socket| Export {
        image,
        size: MIB,
        file: &file,
        socket,
    };
    let exports = std::vec![export(0, first), export(1, second)];
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(exports, &there, PATIENCE));
        // The second image has no chunk at all.
        ask(&other, 0, 1, 0, 512);
        ask(&one, 0, 2, 0, 512);
        assert_eq!((head(&one), data(&one, 512)), ((0, 2), std::vec![0; 512]));
        ask(&other, 2, 3, 0, 0);
        assert_eq!(sys::receive(&other, &mut [0]), Ok(0));
        ask(&one, 0, 4, 512, 512);
        assert_eq!((head(&one), data(&one, 512)), ((0, 4), std::vec![0; 512]));
        ask(&one, 2, 5, 0, 0);
        server.join().unwrap();
    });
}
