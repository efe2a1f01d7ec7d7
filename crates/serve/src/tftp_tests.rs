use std::fs::{self, File};
use std::time::Instant;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::sync::oneshot;

use super::*;
use crate::{Directory, Loaders, Offers, Rules, Sources};

const REQUEST: u16 = 1;
const DATA: u16 = 3;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;

/// A server of a loader and a small directory, on a port of this machine.
struct Site {
    place: SocketAddr,
    desk: Arc<Desk>,
    id: String,
    loader: Vec<u8>,
    _folder: tempfile::TempDir,
    _stop: oneshot::Sender<()>,
}

impl Site {
    /// The loader has so many bytes.
    fn new(size: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut loader = vec![0; size as usize];
        TestRng::deterministic_rng(RngAlgorithm::XorShift).fill_bytes(&mut loader);
        fs::write(folder.path().join("undionly.kpxe"), &loader).unwrap();
        crate::directory::tests::sample(folder.path(), "a kernel");
        let offers = Arc::new(Offers::default());
        let directory = offers.add(Directory::open(folder.path()).unwrap());
        let sources = Sources::new(Arc::clone(&offers));
        let loaders = Loaders::find(&[folder.path()]);
        let desk = Arc::new(Desk::new(offers, sources, loaders, Rules::default()));
        let http = Reach::of(&["0.0.0.0:8080".parse().unwrap()]).unwrap();
        let tftp = Tftp::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let place = tftp.socket.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&desk);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(tftp.serve(shared, http, async { drop(stopped.await) }))
        });
        Self {
            place,
            desk,
            id: directory.id().to_string(),
            loader,
            _folder: folder,
            _stop: stop,
        }
    }

    /// Asks for a file with these options, in pairs.
    fn ask(&self, name: &str, options: &[&str]) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        let mut request = REQUEST.to_be_bytes().to_vec();
        for word in [name, "octet"].iter().chain(options) {
            request.extend(word.as_bytes());
            request.push(0);
        }
        socket.send_to(&request, self.place).unwrap();
        Client { socket }
    }

    /// The steps of the only machine, when it has done the last of them.
    fn steps_until(
        &self,
        news: &mut tokio::sync::broadcast::Receiver<crate::Sighting>,
        last: &Step,
    ) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(120) {
            match news.try_recv() {
                Ok(sighting) if sighting.step == *last => return,
                Ok(_) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("no {last:?}: {:?}", self.desk.watch.all());
    }
}

struct Client {
    socket: UdpSocket,
}

impl Client {
    fn receive(&self) -> (u16, Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; 65536];
        let (length, from) = self.socket.recv_from(&mut buffer).unwrap();
        let kind = u16::from_be_bytes([buffer[0], buffer[1]]);
        (kind, buffer[2..length].to_vec(), from)
    }

    fn acknowledge(&self, block: u16, to: SocketAddr) {
        let message = [ACKNOWLEDGE.to_be_bytes(), block.to_be_bytes()].concat();
        self.socket.send_to(&message, to).unwrap();
    }

    /// The options that the server agrees to, as text.
    fn options(&self) -> (String, SocketAddr) {
        let (kind, options, from) = self.receive();
        assert_eq!(kind, OPTIONS);
        (String::from_utf8(options).unwrap().replace('\0', " "), from)
    }

    /// The rest of the file, in windows of so many blocks of this size.
    fn rest(&self, block_size: usize, window: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut expected: u16 = 1;
        let mut in_window = 0;
        loop {
            let (kind, data, from) = self.receive();
            assert_eq!(kind, DATA);
            let (number, data) = data.split_at(2);
            // A busy machine is late, and then a block comes twice.
            if number != expected.to_be_bytes() {
                continue;
            }
            bytes.extend(data);
            in_window += 1;
            let is_last = data.len() < block_size;
            if in_window == window || is_last {
                self.acknowledge(expected, from);
                in_window = 0;
            }
            if is_last {
                return bytes;
            }
            expected = expected.wrapping_add(1);
        }
    }

    /// The code of the error that comes.
    fn error(&self) -> u16 {
        let (kind, message, _) = self.receive();
        assert_eq!(kind, ERROR, "{message:?}");
        u16::from_be_bytes([message[0], message[1]])
    }
}

#[test]
fn more_than_65535_blocks() {
    let site = Site::new((33 << 20) + 7);
    let client = site.ask("undionly.kpxe", &["windowsize", "16", "tsize", "0"]);
    let (options, from) = client.options();
    assert!(options.contains("windowsize 16 "), "{options}");
    assert!(
        options.contains(&format!("tsize {} ", site.loader.len())),
        "{options}"
    );
    client.acknowledge(0, from);
    assert!(client.rest(512, 16) == site.loader, "the bytes differ");
}

#[test]
fn more_than_65535_blocks_one_by_one() {
    let site = Site::new(8 * 65536 + 100);
    let client = site.ask("/undionly.kpxe", &["blksize", "8"]);
    let (options, from) = client.options();
    assert_eq!(options, "blksize 8 ");
    client.acknowledge(0, from);
    assert!(client.rest(8, 1) == site.loader, "the bytes differ");
}

#[test]
fn a_whole_number_of_blocks_ends_with_an_empty_one() {
    let site = Site::new(1024);
    assert_eq!(site.ask("undionly.kpxe", &[]).rest(512, 1), site.loader);
}

#[test]
fn blocks_and_windows_have_bounds() {
    let site = Site::new(5000);
    let options = ["blksize", "65464", "windowsize", "65535", "timeout", "255"];
    let (options, _) = site.ask("undionly.kpxe", &options).options();
    assert_eq!(options, "blksize 1468 windowsize 32 ");
}

#[test]
fn only_what_is_on_offer() {
    let site = Site::new(10);
    let id = &site.id;
    let get = |name: &str| site.ask(name, &[]).rest(512, 1);
    assert_eq!(get(&format!("boot/{id}/bzImage")), b"a kernel");
    assert!(get(&format!("/boot/{id}/manifest.json")).starts_with(b"{"));
    assert_eq!(
        get("boot.ipxe"),
        b"#!ipxe\nchain http://127.0.0.1:8080/boot.ipxe\n"
    );
    for name in [
        "",
        "/etc/passwd",
        "../undionly.kpxe",
        "ipxe.efi",
        &format!("boot/{id}/../undionly.kpxe"),
        &format!("boot/{id}/undionly.kpxe"),
        &format!("boot/{id}/"),
        "boot/0000000000000000/bzImage",
    ] {
        assert_eq!(site.ask(name, &[]).error(), 1, "{name}");
    }
}

#[test]
fn nothing_is_written() {
    let site = Site::new(10);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .send_to(b"\0\x02undionly.kpxe\0octet\0", site.place)
        .unwrap();
    assert_eq!(Client { socket }.error(), 2);
    assert_eq!(site.ask("undionly.kpxe", &[]).rest(512, 1), site.loader);
}

#[test]
fn no_packet_ends_the_server() {
    let site = Site::new(10);
    let mut random = TestRng::deterministic_rng(RngAlgorithm::XorShift);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..2000 {
        let mut packet = b"\0\x01undionly.kpxe\0octet\0blksize\x009\0tsize\x000\0".to_vec();
        let at = random.next_u32() as usize % packet.len();
        packet[at] = random.next_u32() as u8;
        packet.truncate(match round % 3 {
            0 => packet.len(),
            _ => random.next_u32() as usize % packet.len(),
        });
        socket.send_to(&packet, site.place).unwrap();
    }
    // A server that is behind loses what comes meanwhile, and clients ask again.
    let answered = (0..60).find_map(|_| {
        let client = site.ask("undionly.kpxe", &[]);
        let limit = Some(Duration::from_secs(2));
        client.socket.set_read_timeout(limit).unwrap();
        client.socket.peek(&mut [0]).is_ok().then_some(client)
    });
    assert_eq!(answered.unwrap().rest(512, 1), site.loader);
}

#[test]
fn the_watch_knows_who_loads_and_who_only_asks() {
    let site = Site::new(5000);
    let mut news = site.desk.watch.listen();
    let file = || "undionly.kpxe".to_owned();
    // Firmware asks for the size first, and gives up then.
    let (_, _) = site.ask("undionly.kpxe", &["tsize", "0"]).options();
    assert!(news.try_recv().is_err());
    let client = site.ask("undionly.kpxe", &[]);
    assert_eq!(client.rest(512, 1), site.loader);
    site.steps_until(&mut news, &Step::Loaded { file: file() });
    let all = site.desk.watch.all();
    assert_eq!(all[0].files["undionly.kpxe"], (5000, 5000));
}

#[test]
fn a_file_that_was_written_to_is_not_sent() {
    let site = Site::new(200_000);
    let mut news = site.desk.watch.listen();
    let client = site.ask("undionly.kpxe", &[]);
    let (kind, _, from) = client.receive();
    assert_eq!(kind, DATA);
    let path = site
        .desk
        .loaders
        .named("undionly.kpxe")
        .unwrap()
        .path
        .clone();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(150_000)
        .unwrap();
    client.acknowledge(1, from);
    loop {
        let (kind, data, from) = client.receive();
        if kind == ERROR {
            break;
        }
        // A busy machine is late, and then a block comes twice.
        client.acknowledge(u16::from_be_bytes([data[0], data[1]]), from);
    }
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(120));
        match news.try_recv() {
            Ok(crate::Sighting {
                step: Step::Broken { reason, .. },
                ..
            }) => {
                assert!(reason.contains("changed while it was served"), "{reason}");
                return;
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
