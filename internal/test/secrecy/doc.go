// Package secrecy holds tests that give the real program every kind of
// credential, and look for them wherever it writes. It has no code of its own.
package secrecy
