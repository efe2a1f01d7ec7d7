//! The short names of the table's rows.

/// All rows, in the order of the table.
pub const ROWS: [&str; 7] = [
    ALONE,
    "in-place",
    "file",
    "file-plain",
    "direct",
    "nixpkgs-plain",
    "nixpkgs",
];

/// The kernel without a store: the lower bound of memory and time for every layout.
pub const ALONE: &str = "kernel";
