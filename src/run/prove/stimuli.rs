//! Where each defect shows itself, and where it must be silent.

/// What sets a defect off.
pub struct Stimulus {
    pub defect: &'static str,
    /// scenario and variant that it is put into
    pub ground: &'static str,
    /// fault sets that expose it there
    pub exposed_by: &'static [&'static str],
    /// per cent of the seeds that must fail there
    pub floor: u32,
    /// scenario with variant, and fault set, that lack what sets it off
    pub quiet: (&'static str, &'static str),
}

macro_rules! stimuli {
    ($($defect:literal in $ground:literal under [$($fault:literal),+] >= $floor:literal, silent in $calm:literal under $quiet:literal;)*) => {
        /// One for every defect.
        pub const STIMULI: &[Stimulus] = &[
            $(Stimulus { defect: $defect, ground: $ground, exposed_by: &[$($fault),+], floor: $floor, quiet: ($calm, $quiet) }),*
        ];
    };
}

stimuli! {
    "dedup-by-message-id" in "S01.base" under ["duplicate"] >= 97, silent in "S01.base" under "none";
}

/// Invariants that only some fault sets can exercise, and those fault sets: the others have nothing for them to judge.
pub const ONLY_UNDER: &[(&str, &[&str])] = &[("EVENT_STABLE", &["duplicate-event"])];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::DEFECTS;

    #[test]
    fn every_stimulus_is_of_a_defect() {
        assert!(STIMULI.iter().all(|s| DEFECTS.iter().any(|d| d.name == s.defect)));
    }
}
