# What lies in ./lib, for those who call it by this name.
import ./lib
