# `storeboot serve` as a service: machines on the network boot from this one. docs/serve.md says how to use it.
{
  imports = [
    ./serve/options.nix
    ./serve/units.nix
  ];
}
