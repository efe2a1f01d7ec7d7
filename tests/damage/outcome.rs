//! The possible outcomes of a boot.

use storeboot_index::Layout;
use storeboot_tests::qemu::Boot;
use storeboot_tests::small_system::SmallSystem;

/// The outcome of a boot, or the expected one.
#[derive(Clone, Debug)]
pub enum Outcome<S = &'static str> {
    /// The system reached stage 2, and the store is complete.
    Works,
    /// Stage 1 failed with this message.
    Says(S),
    /// The kernel panicked without a complete stage 1.
    Panics(S),
}

/// Returns the outcome of a boot, which must be one of the above.
pub fn of(system: &SmallSystem, boot: &Boot, layout: Layout) -> Outcome<String> {
    if boot.console.contains("STAGE2") {
        system.is_booted(boot, layout);
        return Outcome::Works;
    }
    assert!(boot.panicked(), "{boot}");
    let said = boot
        .lines_with("storeboot: ")
        .filter(|line| !line.starts_with("warning: "));
    match said.collect::<Vec<_>>()[..] {
        [] => {
            let panic = boot.lines_with("Kernel panic - not syncing: ").next();
            Outcome::Panics(panic.expect("it panicked").to_owned())
        }
        [sentence] => Outcome::Says(sentence.to_owned()),
        _ => panic!("more than one sentence in {boot}"),
    }
}

impl Outcome<String> {
    /// Whether the outcome matches the expected one, of which the message may be a part.
    pub fn is(&self, expected: &Outcome) -> bool {
        match (self, expected) {
            (Self::Works, Outcome::Works) => true,
            (Self::Says(said), Outcome::Says(part))
            | (Self::Panics(said), Outcome::Panics(part)) => said.contains(part),
            _ => false,
        }
    }
}
