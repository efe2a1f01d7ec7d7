//! What may come of a boot.

use storeboot_index::Layout;
use storeboot_tests::qemu::Boot;
use storeboot_tests::small_system::SmallSystem;

/// What came of a boot, or should.
#[derive(Clone, Debug)]
pub enum Outcome<S = &'static str> {
    /// Stage 2 was reached, and the store is whole.
    Works,
    /// Stage 1 said why not.
    Says(S),
    /// The kernel had no stage 1, or none that was whole.
    Panics(S),
}

/// Tells what came of a boot, which must be one of the above.
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
    /// Whether it is this one, as far as that tells.
    pub fn is(&self, expected: &Outcome) -> bool {
        match (self, expected) {
            (Self::Works, Outcome::Works) => true,
            (Self::Says(said), Outcome::Says(part))
            | (Self::Panics(said), Outcome::Panics(part)) => said.contains(part),
            _ => false,
        }
    }
}
