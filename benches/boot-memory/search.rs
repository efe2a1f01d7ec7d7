//! Finds the least memory by bisection.

/// Returns the least multiple of `step` for which `works` is true `times` times in a row. `enough` must work.
///
/// A value that fails once is too little, and is not tried again.
pub fn least(step: u32, enough: u32, times: u32, mut works: impl FnMut(u32) -> bool) -> u32 {
    let mut too_little = 0;
    let mut works_with = enough.div_ceil(step);
    while works_with - too_little > 1 {
        let middle = too_little + (works_with - too_little) / 2;
        if works(middle * step) {
            works_with = middle;
        } else {
            too_little = middle;
        }
    }
    // Near the limit, a boot may succeed by luck. This value worked once already; higher values were not tried yet.
    let mut to_go = times.saturating_sub(1);
    while works_with * step < enough {
        if (0..to_go).all(|_| works(works_with * step)) {
            return works_with * step;
        }
        works_with += 1;
        to_go = times;
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_every_limit() {
        for step in [1, 4, 7] {
            for limit in 1..=200 {
                let found = least(step, 200, 3, |memory| memory >= limit);
                assert_eq!(
                    found,
                    limit.next_multiple_of(step).min(200),
                    "step {step}, limit {limit}"
                );
            }
        }
    }

    #[test]
    fn a_value_that_works_only_sometimes_is_too_little() {
        let mut asked = 0;
        let found = least(4, 1024, 3, |memory| {
            asked += 1;
            memory >= 120 || (memory >= 100 && asked % 2 == 0)
        });
        assert!((112..=120).contains(&found), "{found}");
        let mut last = Vec::new();
        least(4, 1024, 3, |memory| {
            last.push(memory);
            memory >= 100
        });
        assert!(last.ends_with(&[100, 100]), "{last:?}");
    }
}
