//! The short names of the table's rows.

/// All rows, in the order of the table: a layout, and after `@` the way in if it is not QEMU's `-kernel`.
pub const ROWS: [&str; 18] = [
    ALONE,
    "in-place",
    "file",
    "file-plain",
    "direct",
    "fetch",
    "nixpkgs-plain",
    "nixpkgs",
    "kernel@ipxe-bios",
    "in-place@ipxe-bios",
    "fetch@ipxe-bios",
    "nixpkgs-plain@ipxe-bios",
    "nixpkgs@ipxe-bios",
    "kernel@ipxe-uefi",
    "in-place@ipxe-uefi",
    "fetch@ipxe-uefi",
    "nixpkgs-plain@ipxe-uefi",
    "nixpkgs@ipxe-uefi",
];

/// The kernel without a store: the lower bound of memory and time for every layout.
pub const ALONE: &str = "kernel";

/// How a machine gets its kernel and its initrd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// QEMU puts them into memory.
    Kernel,
    /// BIOS starts the iPXE of the network card's ROM, which gets them over HTTP.
    IpxeBios,
    /// UEFI does.
    IpxeUefi,
}

impl Way {
    /// All ways, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::IpxeBios, Self::IpxeUefi];

    /// The way of a row, and the row's name without it.
    pub fn of(row: &str) -> (Self, &str) {
        match row.split_once('@') {
            None => (Self::Kernel, row),
            Some((layout, "ipxe-bios")) => (Self::IpxeBios, layout),
            Some((layout, _)) => (Self::IpxeUefi, layout),
        }
    }

    /// Whether iPXE asks for the files, so that the time until the kernel starts counts.
    pub fn is_ipxe(self) -> bool {
        self != Self::Kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_way() {
        assert_eq!(Way::of("in-place"), (Way::Kernel, "in-place"));
        for row in ROWS {
            let (way, layout) = Way::of(row);
            assert!(!layout.contains('@'), "{row}");
            assert_eq!(row.ends_with("@ipxe-uefi"), way == Way::IpxeUefi, "{row}");
            assert_eq!(row.ends_with("@ipxe-bios"), way == Way::IpxeBios, "{row}");
        }
    }
}
