//! Where HTTP listens, and where machines are told that it does.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use crate::Error;

/// So many machines that are switched on at once may wait for their connection to be taken.
const BACKLOG: i32 = 4096;

/// Where machines of IPv4 reach HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where machines go for which no other place is: every address of this machine, if it is 0.0.0.0.
    first: SocketAddrV4,
    others: Vec<SocketAddrV4>,
}

impl Reach {
    /// What to tell machines where HTTP listens at these addresses.
    ///
    /// A loopback address counts only where there is no other: it is for a proxy on this machine, which machines reach at
    /// the same port.
    ///
    /// # Errors
    /// [`Error::OnlyIpv6`] where no machine of IPv4 can reach any.
    ///
    /// ```
    /// use storeboot_serve::Reach;
    ///
    /// Reach::of(&["[::]:8080".parse().unwrap()])?;
    /// let only_ipv6 = Reach::of(&["[2001:db8::1]:8080".parse().unwrap()]);
    /// assert!(only_ipv6.is_err());
    /// # Ok::<(), storeboot_serve::Error>(())
    /// ```
    pub fn of(listening: &[SocketAddr]) -> Result<Self, Error> {
        let mut places = Vec::new();
        let mut proxies = Vec::new();
        for place in listening {
            let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, place.port());
            match place.ip().to_canonical() {
                ip if ip.is_loopback() => proxies.push(everywhere),
                ip if ip.is_unspecified() => places.push(everywhere),
                IpAddr::V4(address) => places.push(SocketAddrV4::new(address, place.port())),
                IpAddr::V6(_) => {}
            }
        }
        if places.is_empty() {
            places = proxies;
        }
        places.sort_by_key(|place| !place.ip().is_unspecified());
        let mut places = places.into_iter();
        let first = places.next().ok_or_else(|| {
            let heard = listening.first().map(SocketAddr::ip);
            Error::OnlyIpv6(heard.unwrap_or(Ipv6Addr::UNSPECIFIED.into()))
        })?;
        let others = places.collect();
        Ok(Self { first, others })
    }

    /// Where a machine finds HTTP that this one has the address `local` for.
    pub(crate) fn for_machine(&self, local: Ipv4Addr) -> SocketAddrV4 {
        let mut places = iter::once(&self.first).chain(&self.others);
        match places.find(|place| *place.ip() == local) {
            Some(place) => *place,
            None if self.first.ip().is_unspecified() => SocketAddrV4::new(local, self.first.port()),
            None => self.first,
        }
    }

    /// The address, where there is one only; or else all of them.
    pub(crate) fn address(&self) -> Ipv4Addr {
        match self.others.is_empty() {
            true => *self.first.ip(),
            false => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// Opens a port of HTTP. `[::]` is every address, of IPv4, too, whatever the system's default is
/// (`net.ipv6.bindv6only`). Where the kernel has no IPv6, it is every address of IPv4.
pub(crate) fn open(place: SocketAddr) -> io::Result<TcpListener> {
    let is_everywhere = place.ip() == Ipv6Addr::UNSPECIFIED;
    match open_one(place) {
        Err(error) if is_everywhere && Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => {
            open_one(SocketAddr::from((Ipv4Addr::UNSPECIFIED, place.port())))
        }
        opened => opened,
    }
}

fn open_one(place: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(place), Type::STREAM, None)?;
    if place.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // A server that starts again need not wait for the connections of the one before to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&place.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where machines in two networks find HTTP, and where TFTP listens.
    fn reach(places: &[&str]) -> Result<[String; 3], String> {
        let places: Vec<SocketAddr> = places.iter().map(|place| place.parse().unwrap()).collect();
        let reach = Reach::of(&places).map_err(|error| error.to_string())?;
        let told = |local: [u8; 4]| reach.for_machine(local.into()).to_string();
        Ok([
            told([192, 0, 2, 1]),
            told([198, 51, 100, 1]),
            reach.address().to_string(),
        ])
    }

    #[test]
    fn machines_are_told_an_address_where_http_listens() {
        let everywhere = |port: u16| {
            let told = [
                format!("192.0.2.1:{port}"),
                format!("198.51.100.1:{port}"),
                "0.0.0.0".into(),
            ];
            Ok(told)
        };
        for place in ["[::]:80", "0.0.0.0:80", "127.0.0.1:80", "[::1]:80"] {
            assert_eq!(reach(&[place]), everywhere(80), "{place}");
        }
        assert_eq!(reach(&["127.0.0.1:9000", "0.0.0.0:80"]), everywhere(80));

        let one = ["192.0.2.1:81", "192.0.2.1:81", "192.0.2.1"].map(Into::into);
        for places in [
            &["192.0.2.1:81"][..],
            &["[::ffff:192.0.2.1]:81"],
            &["[2001:db8::1]:80", "192.0.2.1:81"],
            &["127.0.0.1:9000", "192.0.2.1:81"],
            &["192.0.2.1:81", "127.0.0.1:9000"],
        ] {
            assert_eq!(reach(places).as_ref(), Ok(&one), "{places:?}");
        }

        let two = ["192.0.2.1:80", "198.51.100.1:81", "0.0.0.0"].map(Into::into);
        assert_eq!(reach(&["192.0.2.1:80", "198.51.100.1:81"]), Ok(two));
        let both = ["192.0.2.1:81", "198.51.100.1:80", "0.0.0.0"].map(Into::into);
        assert_eq!(reach(&["192.0.2.1:81", "0.0.0.0:80"]), Ok(both));

        let refused = reach(&["[2001:db8::1]:80"]).unwrap_err();
        assert!(refused.contains("2001:db8::1"), "{refused}");
    }

    #[tokio::test]
    async fn every_address_has_those_of_ipv4() {
        let listener = open("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        connected.unwrap();
    }
}
