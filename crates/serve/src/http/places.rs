//! Who may be connected: so many at once, and so many of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::client;

/// The places for connections.
#[derive(Debug)]
pub(super) struct Places {
    all: usize,
    of_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<IpAddr, usize>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(all: usize, of_address: usize) -> Self {
        Self {
            all,
            of_address,
            taken: Mutex::default(),
        }
    }

    /// A place for a client with this address. None where there are too many.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = client(address);
        let mut taken = self.taken();
        let count = taken.by.get(&address).copied().unwrap_or_default();
        if taken.all >= self.all || count >= self.of_address {
            return None;
        }
        taken.all += 1;
        taken.by.insert(address, count + 1);
        Some(Place {
            places: Arc::clone(self),
            address,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.by.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.by.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leaves_places_for_others() {
        let places = Arc::new(Places::new(3, 2));
        let take = |address: &str| places.take(address.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        assert!(take("192.0.2.3").is_none(), "there are three");
        drop(first);
        drop(take("192.0.2.1").unwrap());
        drop(take("192.0.2.3").unwrap());
        assert_eq!(places.taken().by.len(), 2, "who is gone takes no memory");
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_count_together() {
        let places = Arc::new(Places::new(9, 1));
        let take = |address: &str| places.take(address.parse().unwrap());
        let _place = take("2001:db8::1").unwrap();
        assert!(take("2001:db8::2").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }
}
