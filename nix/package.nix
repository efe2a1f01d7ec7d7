# The storeboot command and stage 1. Call it from `pkgsStatic`: both run where there is nothing else, the command as a
# derivation's builder in an empty sandbox, stage 1 as the first program of an initrd.
{
  lib,
  rustPlatform,
  rustc,
}:
let
  cargo = lib.importTOML ../Cargo.toml;
  oldest = cargo.workspace.package.rust-version;

  # The other packages of the workspace boot machines and need other programs and libraries; the crates' own tests do not.
  crates = map (folder: (lib.importTOML ../crates/${folder}/Cargo.toml).package.name) (
    lib.attrNames (builtins.readDir ../crates)
  );
in
# Otherwise cargo says so in the middle of a build.
lib.throwIf (lib.versionOlder rustc.version oldest)
  ''
    storeboot needs Rust ${oldest}, and this nixpkgs has ${rustc.version}. Take the storeboot that its own nixpkgs builds: in
    a flake, netboot.package = inputs.storeboot.packages.SYSTEM.storeboot, without inputs.storeboot.inputs.nixpkgs.follows.
  ''
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
  cargoTestFlags = map (name: "--package=${name}") crates;

  # A linker that does not find stage 1's entry point only warns, and makes a program that does nothing.
  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    said=$("$out/bin/storeboot-init" 2>&1) || true
    case $said in
      "storeboot-init ${cargo.workspace.package.version} is stage 1 of an initrd"*) ;;
      *) echo "storeboot-init does not say what it is: $said" >&2; exit 1 ;;
    esac
    runHook postInstallCheck
  '';

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
