# Not nixpkgs: packages that are only names, and builders that tell what they were asked for. `asked` is in each result.
# A platform has what nixpkgs 26.11 has, and nothing that it removed.
{
  system ? "x86_64-linux",
  buildSystem ? system,
}:
let
  package = name: asked: {
    type = "derivation";
    inherit name asked;
    # As an output's path does, it needs all that the package is made of.
    outPath = builtins.deepSeq asked "/stand-in/${name}";
    __toString = self: self.outPath;
  };
  platform = system: {
    inherit system;
    isx86 = system == "x86_64-linux";
    isAarch64 = system == "aarch64-linux";
  };
  callPackage =
    file: asked:
    package (builtins.unsafeDiscardStringContext (baseNameOf (toString file))) asked;
  pkgs = {
    stdenv = {
      hostPlatform = platform system;
      buildPlatform = platform buildSystem;
    };
    inherit callPackage;
    pkgsStatic.callPackage = file: _: package "storeboot" { host = system; inherit file; };
    buildPackages.pkgsStatic.callPackage =
      file: _: package (if buildSystem == system then "storeboot" else "storeboot-${buildSystem}") { host = buildSystem; inherit file; };
    linkFarm = name: entries: package name { inherit entries; };
    runCommand = name: attributes: script: package name { inherit attributes script; };
    writeTextDir = path: text: package (baseNameOf path) { inherit path text; };
    writeShellScriptBin = name: text: package name { inherit text; };
    writeText = name: text: package name { inherit text; };
    symlinkJoin = { name, paths, ... }@asked: package name asked;
    buildEnv = { name, ... }@asked: package name asked;
    linuxPackages.kernel = package "linux" { } // {
      version = "6.12.40";
      kernelAtLeast = wanted: builtins.compareVersions "6.12.40" wanted >= 0;
      target = if system == "aarch64-linux" then "Image" else "bzImage";
    };
    bashInteractive = package "bash" { };
    busybox = package "busybox" { };
    coreutils = package "coreutils" { };
    gnugrep = package "gnugrep" { };
    shadow = package "shadow" { };
    nix = package "nix" { };
    curl = package "curl" { };
    gitMinimal = package "git" { };
    formats.toml = _: { generate = name: value: package name { inherit value; }; };
    systemd = package "systemd" { };
    firmware = package "firmware" { };
    qemu = package "qemu" { };
    qemu_test = package "qemu" { };
    ipxe = package "ipxe" { };
    kexec-tools = package "kexec-tools" { };
    OVMF = {
      firmware = "/stand-in/OVMF_CODE.fd";
      variables = "/stand-in/OVMF_VARS.fd";
    };
    testers.runNixOSTest = asked: package "test-${asked.name}" asked;
    path = ../nixpkgs;
    lib = import ./lib.nix;
  };
in
pkgs
