# A boot records what it reads. The result of the test has it as boot.profile, for `netboot.profile`.
{ boot, ... }:
boot.test {
  name = "profile";
  modules = [
    {
      netboot.layout = "in-place";
      netboot.stage1 = "storeboot";
      boot.kernelParams = [ "storeboot.profile" ];
    }
  ];
  script = ''
    import os

    # The service ends the record, and the recorder takes the file away when the profile is complete.
    machine.wait_until_succeeds("systemctl show -p ExecMainExitTimestampMonotonic storeboot-profile | grep -v '=0$'")
    machine.wait_until_fails("test -e /run/storeboot/profile.stop")
    profile = machine.succeed("cat /run/storeboot/profile")
    lines = profile.splitlines()
    assert lines[0] == "storeboot profile 1", lines[0]
    assert any(line.endswith("/bin/init") or "/lib/systemd/systemd" in line for line in lines), profile
    with open(os.path.join(os.environ.get("out", "."), "boot.profile"), "w") as file:
        file.write(profile)
  '';
}
