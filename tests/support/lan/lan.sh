# A LAN for a test, in the network namespace that this script is the first process of. All that runs in it ends with
# this script, which ends when its standard input does.
# Arguments: a folder for files, and what the LAN has, as shell commands.
set -eu
PATH=$PATH:/usr/sbin:/sbin
folder=$1

ip link set lo up
ip link add lan type bridge
ip link set lan up

# A port for a machine; QEMU plugs itself in.
port() {
  ip tuntap add "$1" mode tap
  ip link set "$1" master lan up
}

# A port whose frames go to and fro through two sockets.
trunk() {
  port "$1"
  qemu-system-x86_64 -machine none -nodefaults -display none \
    -netdev "tap,id=lan,ifname=$1,script=no,downscript=no" \
    -netdev "dgram,id=test,local.type=unix,local.path=$folder/lan-qemu,remote.type=unix,remote.path=$folder/lan-test" \
    -netdev hubport,id=one,hubid=0,netdev=lan -netdev hubport,id=two,hubid=0,netdev=test </dev/null >/dev/null &
}

# dnsmasq on the LAN. It goes to the background when it is ready.
serve() {
  dnsmasq --conf-file=/dev/null --user=root --pid-file= --leasefile-ro --no-hosts --no-resolv --no-ping \
    --interface=lan --bind-interfaces --log-dhcp --log-queries --log-facility="$folder/log" "$@"
}

eval "$2"
echo ready
# Not `exec`: a process of number 1 that is this shell takes in what ends.
cat >/dev/null
