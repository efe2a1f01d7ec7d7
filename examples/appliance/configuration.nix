# Run this once on the machine. Boot it from another image that has ZFS:
#
#   zpool create tank mirror /dev/disk/by-id/… /dev/disk/by-id/…
#   zfs create -o mountpoint=legacy tank/persist
{
  networking.hostName = "database";

  services.postgresql.enable = true;
  netboot.persist.directories = [
    "/var/lib/postgresql"
    "/var/log/journal"
  ];

  users.users.root.openssh.authorizedKeys.keys = [
    # Your keys.
  ];

  system.stateVersion = "26.11";
}
