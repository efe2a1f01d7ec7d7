# The builders in ./lib, under the name of this file.
import ./lib
