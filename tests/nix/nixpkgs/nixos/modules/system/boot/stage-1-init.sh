# That it is here tells that this NixOS has a stage 1 that is a script.
