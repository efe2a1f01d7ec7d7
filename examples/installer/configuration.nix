{
  users.users.root.openssh.authorizedKeys.keys = [
    # Yours.
  ];

  # Whoever has the console is root there, as on NixOS's own installer.
  networking.hostName = "installer";

  system.stateVersion = "26.11";
}
