// Package reliability holds tests that have the real program meet what goes
// wrong around it: servers and networks that fail, kills at any instant, power
// cuts, disks that are full, files that were damaged. It has no code of its own.
package reliability
