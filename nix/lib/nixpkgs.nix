# Builders that can take the place of nixpkgs' own, with the arguments and the attributes that its modules expect:
#
#   final: prev: { inherit ((import ./nix/lib { … }).withPkgs final) makeInitrdNG makeInitrd; }
#
#   makeInitrdNG, makeInitrd   pkgs.makeInitrdNG, pkgs.makeInitrd
#   makeSquashfs               pkgs.callPackage nixos/lib/make-squashfs.nix
{ storeboot, pkgs }:
let
  compressors = import ./compressors.nix;

  # What boot.initrd.secrets appends with, at a time when no derivation is built any more.
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
      # As nixpkgs guesses it.
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
  makeInitrdNG = makeInitrd;
  makeSquashfs = storeboot.makeStoreImage;
}
