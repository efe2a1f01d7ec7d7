# Stage 2 of the small system: prints how it was booted and what it finds, one fact a line, and powers off.
b() { "$busybox" "$@"; }
say() { echo "STAGE2 $*"; }

layout() {
  case "$(b cat /sys/block/loop0/loop/backing_file 2>/dev/null)" in
    /sys/firmware/initrd) echo in-place ;;
    /storeboot/images/* | /nix-store*) echo file ;;
    '/memfd:storeboot store image'*) echo fetch ;;
    '') if [ -e /sys/block/nbd0/pid ]; then echo fetch; else echo direct; fi ;;
    *) echo unknown ;;
  esac
}
hash() {
  b sha256sum "$1" | b cut -d ' ' -f 1
}

if [ -x /first/run ]; then
  # A test adds its own script here, and another one at the end.
  b sh /first/run
fi
say "layout: $(layout)"
say "command line: $(b cat /proc/cmdline)"
say "data: $(hash "$data")"
say "write: $( (echo text >/nix/store/written) 2>&1 && b rm /nix/store/written && echo done)"
# The registration is not a store path.
say "store: $(b find /nix/store -type f ! -name nix-path-registration | b sort | b xargs "$busybox" sha256sum | hash -)"
say "memory: $(b awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)"
say "root: $(b ls -A / | b tr '\n' ' ')"
# Files from archives other than ours.
b find / -xdev -path /nix -prune -o ! -type d -print | b sort | while read -r file; do
  say "file $file: $(b stat -c '%F %a %u:%g' "$file") $([ -h "$file" ] && b readlink "$file" || hash "$file")"
done
say end
if [ -x /next/run ]; then
  b sh /next/run
fi
b poweroff -f
