//! Processors, and the names that others have for them.

/// The processor of a machine or of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A PC.
    X86_64,
    /// A 64-bit Arm machine. It has no firmware of its own.
    Aarch64,
}

impl Architecture {
    /// What emulates it.
    pub(super) fn qemu(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// Arguments that choose the machine where there is no default.
    pub(super) fn machine(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &[],
            Self::Aarch64 => &["-M", "virt", "-cpu", "cortex-a57"],
        }
    }

    /// What the kernel has to be told: its console is the serial line, and a panic ends the machine at once.
    pub fn words(self) -> &'static str {
        match self {
            // A busy machine may be too slow for the check that x86's timer ticks. Others take that word for an argument
            // of init.
            Self::X86_64 => "console=ttyS0 panic=-1 no_timer_check",
            Self::Aarch64 => "console=ttyAMA0 panic=-1",
        }
    }

    /// Debian's name.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}
