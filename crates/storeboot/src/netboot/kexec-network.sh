
# Tells stage 1 how this machine is on the network, since the next one may have no DHCP server to ask: the address and
# the way out of the card that the default route leads over, its MAC, and the name servers.
describe_network() {
  command -v ip >/dev/null || {
    note "there is no program \`ip\` here that tells the address"
    return
  }
  for family in 4 6; do
    route=$(ip "-$family" route 2>/dev/null | sed -n '/^default/{p;q;}')
    [ -z "$route" ] || break
  done
  [ -n "$route" ] || {
    note "this machine has no default route"
    return
  }
  device=${route##* dev }
  device=${device%% *}
  gateway=
  case $route in
    *' via inet6 '*) ;;
    *' via '*)
      gateway=${route##* via }
      gateway=${gateway%% *}
      ;;
  esac
  # The address that the route names, or the first that is meant to be used.
  addresses=$(ip "-$family" addr show dev "$device" 2>/dev/null |
    sed -n -e '/temporary\|deprecated\|tentative/d' -e 's/^ *inet6\{0,1\} \([0-9A-Fa-f.:]*\(\/[0-9]*\)\{0,1\}\) .*scope global.*/\1/p')
  address=
  case $route in
    *' src '*)
      source=${route##* src }
      source=${source%% *}
      address=$(printf '%s\n' "$addresses" | sed -n "/^$source\(\/\|\$\)/{p;q;}")
      ;;
  esac
  [ -n "$address" ] || address=$(printf '%s\n' "$addresses" | sed -n 1p)
  [ -n "$address" ] || {
    note "$device has no address"
    return
  }
  card=$(card_of "$device") || {
    note "the default route leads over $device, which is no network card"
    return
  }
  case $address in
    */*) length=${address#*/} ;;
    *:*) length=128 ;;
    *) length=32 ;;
  esac
  address=${address%/*}
  if [ "$family" = 4 ]; then
    words="ip=$address::$gateway:$(mask "$length"):::none"
  else
    [ -z "$gateway" ] || gateway="[$gateway]"
    words="ip=[$address]::$gateway:$length:::none"
  fi
  words="$words BOOTIF=01-$(tr : - </sys/class/net/"$card"/address)"
  for server in $(name_servers); do
    words="$words nameserver=$server"
  done
  command_line="$command_line $words"
}

note() {
  echo "kexec-boot: $1; so stage 1 asks for an address by DHCP, unless an argument is ip=…" >&2
}

# The card below a device: itself, or the one card of a bridge.
card_of() {
  for card in "$1" $(ls "/sys/class/net/$1/brif" 2>/dev/null); do
    if [ -e "/sys/class/net/$card/device" ]; then
      printf '%s\n' "$card"
      return
    fi
  done
  return 1
}

# A netmask of this many bits.
mask() {
  bits=$1
  dots=
  for _ in 1 2 3 4; do
    part=$((bits < 8 ? bits : 8))
    bits=$((bits - part))
    dots=$dots.$((256 - (1 << (8 - part))))
  done
  printf '%s\n' "${dots#.}"
}

# At most three name servers, without those that only this machine can ask.
name_servers() {
  for file in /run/systemd/resolve/resolv.conf /etc/resolv.conf; do
    [ -r "$file" ] || continue
    sed -n 's/^nameserver[ 	]*\([0-9A-Fa-f.:]*\)[ 	]*$/\1/p' "$file" | sed -e '/^127\./d' -e '/^::1$/d' -e '/^fe80:/d' |
      sed -n 1,3p
    return
  done
}

case " $command_line " in
  *' storeboot.store='*) ;;
  *) fail "no URL says where the store is: give one as storeboot.store=http://…, the place of this netboot directory" ;;
esac
case " $command_line " in
  *' ip='*) ;;
  *) describe_network ;;
esac
