//! Processors, and the names that others have for them.

/// The processor of a machine or of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A PC.
    X86_64,
    /// A 64-bit Arm machine without firmware.
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

    /// Linux' name of the first serial line.
    pub(super) fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Aarch64 => "ttyAMA0",
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
