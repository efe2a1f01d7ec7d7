//! Closures of Nix store paths: read in every form Nix writes them, checked, ordered, and registered
