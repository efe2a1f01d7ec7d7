# The storeboot command and stage 1. Call it from `pkgsStatic`: both run where there is nothing else, the command as a
# derivation's builder in an empty sandbox, stage 1 as the first program of an initrd.
{
  lib,
  rustPlatform,
}:
let
  cargo = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "storeboot";
  inherit (cargo.workspace.package) version;

  src = lib.fileset.toSource {
    root = ./..;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../LICENSE-APACHE
      ../LICENSE-MIT
      ../benches
      ../crates
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  cargoBuildFlags = [
    "--package=storeboot-cli"
    "--package=storeboot-init"
  ];
  # The packages `tests` and `benches` boot machines and need other programs; the crates' own tests do not.
  cargoTestFlags = [
    "--workspace"
    "--exclude=storeboot-tests"
    "--exclude=storeboot-benches"
  ];

  meta = {
    description = "From a NixOS closure to a netboot image";
    license = with lib.licenses; [
      mit
      asl20
    ];
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    mainProgram = "storeboot";
  };
}
