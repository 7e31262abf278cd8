//! Delta debugging (Zeller and Hildebrandt): the fewest of a list that still do it, by halves, quarters, and so on.

/// Which of `count` things are needed. `fails` is asked with those that are kept, in order; with all of them it is known to be true.
/// It answers none when it may not be asked any more: then what was found so far is the answer.
pub fn ddmin(count: usize, mut fails: impl FnMut(&[usize]) -> Option<bool>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..count).collect();
    // mostly nothing of it matters
    if kept.is_empty() || fails(&[]) == Some(true) {
        return Vec::new();
    }
    let mut parts = 2;
    while kept.len() >= 2 {
        let size = kept.len().div_ceil(parts);
        let chunks: Vec<Vec<usize>> = kept.chunks(size).map(<[usize]>::to_vec).collect();
        let mut smaller = None;
        for chunk in &chunks {
            match fails(chunk) {
                Some(true) => smaller = Some((chunk.clone(), 2)),
                Some(false) => continue,
                None => return kept,
            }
            break;
        }
        // with two parts each is the rest of the other
        if smaller.is_none() && chunks.len() > 2 {
            for chunk in &chunks {
                let rest: Vec<usize> = kept.iter().copied().filter(|item| !chunk.contains(item)).collect();
                match fails(&rest) {
                    Some(true) => smaller = Some((rest, (chunks.len() - 1).max(2))),
                    Some(false) => continue,
                    None => return kept,
                }
                break;
            }
        }
        match smaller {
            Some((fewer, into)) => (kept, parts) = (fewer, into),
            None if size == 1 => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_few_that_are_needed_and_asks_little_for_one() {
        for needed in [vec![], vec![0], vec![63], vec![7, 50], vec![1, 2, 3, 40]] {
            let mut asked = 0;
            let found = ddmin(64, |kept| {
                asked += 1;
                Some(needed.iter().all(|item| kept.contains(item)))
            });
            assert_eq!(found, needed);
            assert!(asked <= if needed.len() < 2 { 14 } else { 120 }, "{asked} for {needed:?}");
        }
    }

    #[test]
    fn stops_with_what_it_has_when_it_may_not_ask() {
        let mut left = 5;
        let found = ddmin(64, |kept| {
            left -= 1;
            (left >= 0).then(|| kept.contains(&9))
        });
        assert!(found.contains(&9) && found.len() < 64 && found.len() > 1, "{found:?}");
        assert_eq!(ddmin(3, |_| None), [0, 1, 2]);
    }
}
