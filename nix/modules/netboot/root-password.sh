# Sets root's password as the kernel's command line says, if root has an empty one: for nixos-anywhere and its like.
read -r -a words </proc/cmdline
for word in "${words[@]}"; do
  grep -q '^root::' /etc/shadow || break
  case $word in
    live.nixos.passwordHash=*) usermod -p "${word#*=}" root ;;
    live.nixos.password=*) echo "root:${word#*=}" | chpasswd ;;
  esac
done
