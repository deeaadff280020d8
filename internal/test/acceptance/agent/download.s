// downloadBinary has its body elsewhere: a package with such a function needs a file of assembly.
