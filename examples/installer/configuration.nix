{
  users.users.root.openssh.authorizedKeys.keys = [
    # Yours.
  ];

  # The console has root's shell, as on NixOS's own installer.
  networking.hostName = "installer";

  system.stateVersion = "26.11";
}
