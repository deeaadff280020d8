// Package lazyregexp compiles regular expressions at their first use. No command needs all of them,
// and compiling them takes a millisecond of every start.
package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a [regexp.Regexp]. The methods are the same.
type Regexp struct{ compiled func() *regexp.Regexp }

// New returns a regular expression. A malformed one panics when it is first used.
func New(expr string) Regexp {
	return Regexp{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })}
}

func (r Regexp) MatchString(s string) bool            { return r.compiled().MatchString(s) }
func (r Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }
func (r Regexp) ReplaceAllString(s, repl string) string {
	return r.compiled().ReplaceAllString(s, repl)
}

func (r Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.compiled().FindAllStringSubmatch(s, n)
}

func (r Regexp) ReplaceAllLiteralString(s, repl string) string {
	return r.compiled().ReplaceAllLiteralString(s, repl)
}

func (r Regexp) ReplaceAllStringFunc(s string, repl func(string) string) string {
	return r.compiled().ReplaceAllStringFunc(s, repl)
}
