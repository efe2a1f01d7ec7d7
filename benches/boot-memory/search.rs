//! Bisection.

/// The least multiple of `step` with which `works` says yes `times` times in a row, given that `enough` does.
///
/// Whatever says no once is too little, and is not asked again.
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
    // Near the limit, luck has its part. This one worked once already, and those above it have yet to.
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
    fn what_works_only_sometimes_is_too_little() {
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
