# Cases to evaluate with a whole nixpkgs. `scripts/check-nixos` runs each in a process of its own.
#
# They are in the files that `cases` lists below, one attribute each. A case has
#
#   modules     a system with our module and these: its image, and every file of it, is evaluated
#   expect      config: { "a sentence" = whether it holds; }
#   refused     what the error says, for a system that is not to evaluate
#   value       in the place of modules: a derivation or text, or a set or list of them
#   skipped     why this nixpkgs cannot have the case; null where it can
{
  # A folder with a whole nixpkgs.
  nixpkgs,
  # A folder with github:nix-community/nixos-images.
  nixosImages ? null,
  system ? "x86_64-linux",
  # The name of the case to evaluate.
  case ? null,
}:
let
  lib = import (nixpkgs + "/lib");
  pkgsFor = system: import nixpkgs { inherit system; };
  pkgs = pkgsFor system;

  netboot = ../../nix/modules/netboot.nix;
  rust = (lib.importTOML ../../Cargo.toml).workspace.package.rust-version;
  nixosFor =
    system: modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        netboot
        {
          nixpkgs.hostPlatform = lib.mkDefault system;
          system.stateVersion = lib.mkDefault lib.trivial.release;
          # An older nixpkgs cannot compile storeboot, and its users take it from elsewhere.
          netboot = lib.mkIf (lib.versionOlder pkgs.rustc.version rust) { package = pkgs.emptyDirectory; };
        }
      ]
      ++ modules;
    };

  has = path: builtins.pathExists (nixpkgs + path);
  unless = holds: reason: if holds then null else reason;
  hasModule =
    module:
    unless (lib.hasInfix "${module}\n" (builtins.readFile (nixpkgs + "/nixos/modules/module-list.nix"))) "no module ${module}";
  hasFile = path: unless (has path) "no file ${path}";

  given = {
    inherit
      lib
      nixpkgs
      nixosImages
      system
      pkgs
      pkgsFor
      netboot
      nixosFor
      unless
      hasFile
      hasModule
      ;
    modulesOf = path: nixpkgs + "/nixos/modules/${path}";

    # How a system is started. Each is a module.
    stage1s = {
      storeboot.netboot.stage1 = "storeboot";
      systemd = {
        netboot.stage1 = "nixos";
        boot.initrd.systemd.enable = true;
      };
      script = {
        netboot.stage1 = "nixos";
        boot.initrd.systemd.enable = false;
      };
    };
    skippedStage1.script = hasFile "/nixos/modules/system/boot/stage-1-init.sh";

    # The same case for each stage 1, under NAME/STAGE1.
    perStage1 =
      name: case:
      lib.mapAttrs' (
        stage1: module:
        lib.nameValuePair "${name}/${stage1}" (
          case
          // {
            modules = [ module ] ++ case.modules;
            skipped =
              if case.skipped or null != null then case.skipped else given.skippedStage1.${stage1} or null;
          }
        )
      ) given.stage1s;
  };

  cases = lib.foldl' (all: file: all // import file given) { } [
    ./layouts.nix
    ./options.nix
    ./odd.nix
    ./refused.nix
    ./outputs.nix
    ./serve.nix
    ./nixos-images.nix
  ];

  # Under the names of nixpkgs' module, and ours.
  files = [
    "netboot"
    "toplevel"
    "squashfsStore"
    "netbootRamdisk"
    "netbootIpxeScript"
    "kexecScript"
    "kexecTree"
    "kexecTarball"
  ];

  # Store paths of all that is in a value, which evaluates it.
  evaluated =
    value:
    if lib.isDerivation value then
      [ value.drvPath ]
    else if lib.isList value then
      lib.concatMap evaluated value
    else if lib.isAttrs value then
      evaluated (lib.attrValues value)
    else
      [ "${toString value}" ];

  result =
    case:
    if case ? value then
      evaluated case.value
    else
      let
        inherit (nixosFor system case.modules) config;
        wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) (case.expect or (_: { }) config));
      in
      if wrong != [ ] then
        throw "This does not hold: ${lib.concatStringsSep "; " wrong}."
      else
        evaluated (map (file: config.system.build.${file}) files);
in
{
  inherit (lib.trivial) release;

  # A line a case: its name, why it is skipped, and how it is to be refused.
  list = lib.concatStrings (
    lib.mapAttrsToList (
      name: case:
      "${name}\t${if case.skipped or null == null then "-" else case.skipped}\t${case.refused or "-"}\n"
    ) cases
  );

  result = builtins.deepSeq (result cases.${case}) "evaluated";
}
