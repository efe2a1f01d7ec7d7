# The nixpkgs that flake.lock names, for those who do not use flakes. Evaluated only where a package of it is used.
let
  lock = builtins.fromJSON (builtins.readFile ../flake.lock);
  nixpkgs = lock.nodes.${lock.nodes.root.inputs.nixpkgs}.locked;
in
fetchTarball {
  url = "https://github.com/${nixpkgs.owner}/${nixpkgs.repo}/archive/${nixpkgs.rev}.tar.gz";
  sha256 = nixpkgs.narHash;
}
