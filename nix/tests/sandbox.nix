# Nix builds in a sandbox on the booted machine, on an unpatched kernel.
{ boot, pkgs }:
let
  expression = pkgs.writeText "sandboxed.nix" ''
    derivation {
      name = "sandboxed";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" "echo built >$out" ];
    }
  '';
in
boot.test {
  name = "sandbox";
  modules = [
    {
      netboot.stage1 = "storeboot";
      netboot.storeContents = [ expression ];
    }
  ];
  script = ''
    built = machine.succeed(
        "nix-build ${expression} --no-out-link --option substitute false"
        " --option sandbox true --option sandbox-fallback false"
    )
    machine.succeed(f"grep built {built}")
  '';
}
