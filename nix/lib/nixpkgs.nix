# Builders that can replace nixpkgs' own, with the arguments and the attributes that its modules expect:
#
#   final: prev: { inherit ((import ./nix/lib { … }).withPkgs final) makeInitrdNG makeInitrd; }
#
#   makeInitrdNG, makeInitrd   pkgs.makeInitrdNG, pkgs.makeInitrd
#   makeSquashfs               pkgs.callPackage nixos/lib/make-squashfs.nix
{ storeboot, pkgs }:
let
  compressors = import ./compressors.nix;

  # boot.initrd.secrets calls the compressor when the system is installed.
  program = name: if name == "cat" then _: "cat" else pkgs: "${pkgs.${name}}/bin/${name}";
  defaultArgs = {
    gzip = [ "-9n" ];
    pigz = [ "-9n" ];
    xz = [ "--check=crc32" ];
    zstd = [ "-10" ];
    lz4 = [ "-l" ];
  };

  makeInitrd =
    {
      compressor ? "gzip",
      compressorArgs ? null,
      # As nixpkgs before 26.11 guesses it.
      makeUInitrd ? pkgs.stdenv.hostPlatform.linux-kernel.target or null == "uImage",
      ...
    }@arguments:
    let
      # A function of the package set gives the program's path.
      command = if builtins.isFunction compressor then compressor pkgs else compressor;
      isName = builtins.isString compressor && compressors.known ? ${builtins.unsafeDiscardStringContext compressor};
      name = baseNameOf (builtins.unsafeDiscardStringContext command);
    in
    storeboot.makeInitrd (
      arguments
      // {
        compressor = command;
        inherit makeUInitrd;
      }
    )
    // {
      compressorExecutableFunction =
        if builtins.isFunction compressor then
          compressor
        else if isName then
          program compressor
        else
          _: compressor;
      compressorArgs = if compressorArgs == null then defaultArgs.${name} or [ ] else compressorArgs;
    };
in
{
  inherit makeInitrd;
  makeInitrdNG = arguments: makeInitrd ({ wholeClosure = false; } // arguments);
  makeSquashfs = storeboot.makeStoreImage;
}
