# A netboot directory as a Hydra offers it: each file as a product to download.
{ pkgs }:
name: netboot:
pkgs.runCommand name { preferLocalBuild = true; } ''
  mkdir -p $out/nix-support
  for file in ${netboot}/*; do
    base=$(basename "$file")
    ln -s "$file" $out/
    case $base in
      *Image) type=kernel ;;
      initrd) type=initrd ;;
      *.ipxe) type=ipxe ;;
      *) type=file ;;
    esac
    [ -d "$file" ] || echo "file $type $out/$base" >>$out/nix-support/hydra-build-products
  done
''
