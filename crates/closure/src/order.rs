//! Sorts store paths topologically and finds cycles.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

use nix_derivation::StorePath;

use crate::PathInfo;

/// Finds a path in a list that is sorted by path.
pub(crate) fn find(infos: &[PathInfo], path: &StorePath) -> Option<usize> {
    infos.binary_search_by(|info| info.path.cmp(path)).ok()
}

/// The references of a path, without itself.
fn others(info: &PathInfo) -> impl Iterator<Item = &StorePath> {
    info.references.iter().filter(|path| **path != info.path)
}

/// Sorts each path behind its references. Paths of a cycle, and paths that refer to one, are left out.
pub(crate) fn topological(infos: &[PathInfo]) -> Vec<&PathInfo> {
    // A path's number is its place in the sorted list. Numbers are compared faster than paths.
    let mut waiting_for = vec![0_usize; infos.len()];
    let mut referrers = vec![Vec::new(); infos.len()];
    let mut ready = BinaryHeap::new();
    for (number, info) in infos.iter().enumerate() {
        for reference in others(info) {
            waiting_for[number] += 1;
            if let Some(reference) = find(infos, reference) {
                referrers[reference].push(number);
            }
        }
        if waiting_for[number] == 0 {
            ready.push(Reverse(number));
        }
    }
    let mut order = Vec::with_capacity(infos.len());
    while let Some(Reverse(number)) = ready.pop() {
        order.push(&infos[number]);
        for &referrer in &referrers[number] {
            waiting_for[referrer] -= 1;
            if waiting_for[referrer] == 0 {
                ready.push(Reverse(referrer));
            }
        }
    }
    order
}

/// Finds a cycle, if there is one. Returns its paths; the first one is also the last one.
pub(crate) fn check(infos: &[PathInfo]) -> Result<(), Vec<&StorePath>> {
    let ordered = topological(infos);
    if ordered.len() == infos.len() {
        return Ok(());
    }
    let ordered: HashSet<_> = ordered.iter().map(|info| &info.path).collect();
    // The remaining paths are in a cycle or refer to one. Following their references leads to a path for a second time.
    let left = |path: &&StorePath| !ordered.contains(*path);
    let Some(mut path) = infos.iter().map(|info| &info.path).find(left) else {
        return Ok(());
    };
    let mut walk = Vec::new();
    let mut seen = BTreeMap::new();
    loop {
        walk.push(path);
        if let Some(start) = seen.insert(path, walk.len() - 1) {
            return Err(walk.split_off(start));
        }
        match find(infos, path).and_then(|at| others(&infos[at]).find(left)) {
            Some(next) => path = next,
            None => return Err(walk),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn path(n: usize) -> StorePath {
        StorePath::from_parts([0; 20], &format!("p{n:03}")).unwrap()
    }

    fn graph(edges: &[(usize, usize)], size: usize) -> Vec<PathInfo> {
        let references = |n| edges.iter().filter(move |(from, _)| *from == n);
        (0..size)
            .map(|n| PathInfo::new(path(n), references(n).map(|(_, to)| path(*to))))
            .collect()
    }

    fn names(infos: &[&PathInfo]) -> Vec<String> {
        infos.iter().map(|i| i.path.name().to_owned()).collect()
    }

    #[test]
    fn ties_are_ordered_by_path() {
        let infos = graph(&[(0, 3), (3, 3), (1, 0)], 4);
        assert_eq!(
            names(&topological(&infos)),
            ["p002", "p003", "p000", "p001"]
        );
        assert!(check(&infos).is_ok());
    }

    #[test]
    fn a_cycle_is_named() {
        // 0 refers to the cycle 1 -> 2 -> 3 -> 1, and 4 is not in it.
        let infos = graph(&[(0, 1), (1, 2), (2, 3), (3, 1), (2, 4)], 5);
        let cycle = check(&infos).unwrap_err();
        let cycle: Vec<_> = cycle.iter().map(|path| path.name()).collect();
        assert_eq!(cycle, ["p001", "p002", "p003", "p001"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn references_come_first(edges in prop::collection::vec((0_usize..20, 0_usize..20), 0..60)) {
            // Higher numbers refer to lower ones or to themselves, so there is no cycle.
            let edges: Vec<_> = edges.iter().map(|(a, b)| (*a.max(b), *a.min(b))).collect();
            let infos = graph(&edges, 20);
            prop_assert!(check(&infos).is_ok());
            let order = topological(&infos);
            prop_assert_eq!(order.len(), 20);
            let mut before = BTreeSet::new();
            for info in order {
                prop_assert!(others(info).all(|path| before.contains(path)));
                before.insert(&info.path);
            }
        }

        #[test]
        fn any_graph_has_an_order_or_a_cycle(
            edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..20)
        ) {
            let infos = graph(&edges, 8);
            match check(&infos) {
                Ok(()) => prop_assert_eq!(topological(&infos).len(), 8),
                Err(cycle) => {
                    prop_assert!(cycle.len() > 2);
                    prop_assert_eq!(cycle.first(), cycle.last());
                    for pair in cycle.windows(2) {
                        prop_assert!(infos[find(&infos, pair[0]).unwrap()].references.contains(pair[1]));
                    }
                }
            }
        }
    }
}
