# Not NixOS: a stand-in that shows what nix/minimal.nix asks of nixpkgs and what it does with the answer. It calls the
# modules that are functions with a `lib` of one function, does not read those that are files, and merges nothing.
{ system, modules }:
let
  lib.mkForce = content: { forced = content; };
  called = map (module: module { inherit lib; }) (builtins.filter builtins.isFunction modules);
in
{
  config = {
    asked = {
      inherit system called;
      files = builtins.filter builtins.isPath modules;
    };
    boot.kernelParams = [ "loglevel=4" "quiet" ];
    system = {
      boot.loader.kernelFile = "bzImage";
      build.kernel = "/stand-in/linux";
      build.toplevel = "/stand-in/system";
      modulesTree = "/stand-in/modules";
    };
    netboot.storeContents = [ "/stand-in/system" ];
  };
}
