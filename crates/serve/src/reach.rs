//! Where HTTP listens, and where machines are told that it does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use crate::Error;

/// So many machines that are switched on at once may wait for their connection to be taken.
const BACKLOG: i32 = 4096;

/// Where machines of IPv4 reach HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The address, where HTTP listens at this one only. `None`: the one that this machine has in their network.
    pub address: Option<Ipv4Addr>,
    /// The port.
    pub port: u16,
}

impl Reach {
    /// What to tell machines where HTTP listens at these addresses.
    ///
    /// Loopback addresses do not count: they are for a proxy on this machine, which machines reach.
    ///
    /// # Errors
    /// [`Error::OnlyIpv6`] where no machine of IPv4 can reach any.
    pub(crate) fn of(listening: &[SocketAddr]) -> Result<Self, Error> {
        let reached = |place: &SocketAddr| match place.ip().to_canonical() {
            ip if ip.is_unspecified() || ip.is_loopback() => Some((None, place.port())),
            IpAddr::V4(address) => Some((Some(address), place.port())),
            IpAddr::V6(_) => None,
        };
        let mut places: Vec<_> = listening.iter().filter_map(reached).collect();
        // The one at every address, if there is one.
        places.sort_by_key(|(address, _)| address.is_some());
        match (places.first(), listening.first()) {
            (Some(&(address, port)), _) => Ok(Self { address, port }),
            (None, Some(place)) => Err(Error::OnlyIpv6(place.ip())),
            (None, None) => Err(Error::OnlyIpv6(Ipv6Addr::UNSPECIFIED.into())),
        }
    }

    /// The address for a machine that this one has the address `local` for.
    pub(crate) fn for_machine(self, local: Ipv4Addr) -> Ipv4Addr {
        self.address.unwrap_or(local)
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

    fn reach(places: &[&str]) -> Result<(Option<String>, u16), String> {
        let places: Vec<SocketAddr> = places.iter().map(|place| place.parse().unwrap()).collect();
        let reach = Reach::of(&places).map_err(|error| error.to_string())?;
        Ok((reach.address.map(|address| address.to_string()), reach.port))
    }

    #[test]
    fn machines_are_told_an_address_where_http_listens() {
        for everywhere in ["[::]:80", "0.0.0.0:80", "127.0.0.1:80", "[::1]:80"] {
            assert_eq!(reach(&[everywhere]), Ok((None, 80)), "{everywhere}");
        }
        let one = Ok((Some("192.0.2.1".into()), 81));
        assert_eq!(reach(&["192.0.2.1:81"]), one);
        assert_eq!(reach(&["[::ffff:192.0.2.1]:81"]), one);
        assert_eq!(reach(&["[2001:db8::1]:80", "192.0.2.1:81"]), one);
        assert_eq!(reach(&["192.0.2.1:81", "0.0.0.0:80"]), Ok((None, 80)));
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
