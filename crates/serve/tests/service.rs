//! The server as a service: this program starts itself as systemd would start it, with a socket and with a place to
//! tell how it is.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};

use storeboot_serve::service;

/// Says to the tests below that they are the service.
const IS_SERVICE: &str = "STOREBOOT_TEST_IS_SERVICE";

/// Starts a test of this program as a service that has this socket. listenfd takes its number from the environment, so
/// that it can be the standard input.
fn start(test: &str, socket: OwnedFd, notify: Option<&str>) -> Output {
    let mut service = Command::new(env::current_exe().unwrap());
    service
        .args(["--exact", test, "--nocapture"])
        .env(IS_SERVICE, "yes")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .env_remove("LISTEN_PID")
        .env_remove("NOTIFY_SOCKET")
        .stdin(socket);
    if let Some(notify) = notify {
        service.env("NOTIFY_SOCKET", notify);
    }
    service.output().unwrap()
}

#[test]
fn a_socket_that_was_passed_is_taken_and_systemd_is_told() {
    if env::var_os(IS_SERVICE).is_some() {
        let listeners = service::listeners().unwrap();
        let [listener] = &listeners[..] else {
            panic!("one socket");
        };
        listener.set_nonblocking(false).unwrap();
        service::ready();
        listener.accept().unwrap().0.write_all(b"hello").unwrap();
        service::stopping();
        // Taken once.
        assert!(service::listeners().unwrap().is_empty());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let manager = UnixDatagram::bind(&place).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let output = start(
        "a_socket_that_was_passed_is_taken_and_systemd_is_told",
        listener.into(),
        place.to_str(),
    );
    assert!(output.status.success(), "{output:?}");
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    let mut told = [0; 64];
    for expected in ["READY=1\n", "STOPPING=1\n"] {
        let count = manager.recv(&mut told).unwrap();
        assert_eq!(std::str::from_utf8(&told[..count]), Ok(expected));
    }
}

#[test]
fn a_socket_of_another_kind_is_refused() {
    if env::var_os(IS_SERVICE).is_some() {
        panic!("said: {}", service::listeners().unwrap_err());
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = start("a_socket_of_another_kind_is_refused", socket.into(), None);
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = "said: socket 1 of the service manager is not one that HTTP can listen on";
    assert!(said.contains(sentence), "{output:?}");
}

#[test]
fn without_a_service_manager_there_is_no_socket() {
    if env::var_os("LISTEN_FDS").is_none() {
        assert!(service::listeners().unwrap().is_empty());
    }
    service::ready();
}
