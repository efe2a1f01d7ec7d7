//! Finds the drivers for a device.

use alloc::vec::Vec;

use super::{Drivers, MAX_ALIAS};
use crate::glob;

/// The aliases of all drivers, in an order that makes them quick to search.
///
/// Nearly all patterns begin with some bytes that are not special, such as a PCI device's numbers. They are sorted by
/// these bytes, so that only patterns that begin like the modalias are compared with it.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    /// Patterns and the positions of their drivers.
    patterns: Vec<(&'a str, usize)>,
}

impl<'a> Lookup<'a> {
    /// Sorts the aliases.
    #[must_use]
    pub fn new(drivers: &'a Drivers) -> Self {
        let numbered = drivers.drivers.iter().enumerate();
        let mut patterns: Vec<(&str, usize)> = numbered
            .flat_map(|(at, driver)| driver.aliases.iter().map(move |alias| (alias.as_str(), at)))
            .collect();
        patterns.sort_unstable_by(|(a, _), (b, _)| begin(a).cmp(begin(b)));
        Self { patterns }
    }

    /// The positions of the drivers that have a pattern for this modalias, each once, in their order. None for a
    /// modalias of more than [`MAX_ALIAS`] bytes.
    #[must_use]
    pub fn drivers(&self, modalias: &str) -> Vec<usize> {
        let mut found = Vec::new();
        if modalias.len() > MAX_ALIAS {
            return found;
        }
        // What begins like the first `length` bytes of the modalias.
        let mut alike = self.patterns.as_slice();
        let mut bytes = modalias.bytes().map(glob::normal);
        for length in 0.. {
            // Sorting puts a text before all that it begins.
            let ended =
                alike.partition_point(|(pattern, _)| glob::literal(pattern).len() == length);
            let (candidates, longer) = alike.split_at(ended);
            let fitting = candidates
                .iter()
                .filter(|(pattern, _)| glob::matches(pattern, modalias));
            found.extend(fitting.map(|(_, driver)| *driver));
            let Some(next) = bytes.next() else {
                break;
            };
            let at = |(pattern, _): &(&str, usize)| {
                pattern.as_bytes().get(length).copied().map(glob::normal)
            };
            let from = longer.partition_point(|entry| at(entry) < Some(next));
            let to = longer.partition_point(|entry| at(entry) <= Some(next));
            alike = longer.get(from..to).unwrap_or_default();
            if alike.is_empty() {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn begin(pattern: &str) -> impl Iterator<Item = u8> {
    glob::literal(pattern).bytes().map(glob::normal)
}
