// Package sumfile reads the checksum files that publishers write, in the forms of any tool. It does no I/O.
package sumfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// NoneError is for what is no checksum file, such as "not found" with a status of success.
type NoneError struct {
	// What was read instead: "empty", "a web page", "text".
	What string
}

func (e *NoneError) Error() string { return "it is no checksum file but " + e.What }

// ErrNotListed says that a list of checksums leaves a file out.
var ErrNotListed = errors.New("it does not list the file")

type sum struct {
	agent.Checksum
	// name is as the file has it, with slashes; or empty.
	name string
	// exact says that the digest counts for the file with this name alone.
	exact bool
}

type contents struct {
	sums []sum
	// weak says that there are digests of other algorithms.
	weak bool
	// broken says that something is not as long as a digest that it should be.
	broken bool
	// unread says that something is as long as a digest, and was not read as one.
	unread bool
}

// names are those of the algorithms whose digests count, and digitForms is a pattern of these.
var names, digitForms = published()

func published() (names []string, digitForms string) {
	for _, a := range agent.Algorithms {
		if a.Published {
			names = append(names, a.Name)
			digitForms += fmt.Sprintf("|[0-9A-Fa-f]{%d}", a.Digits())
		}
	}
	return names, digitForms[1:]
}

// withDigits returns the algorithm whose digests count and have so many digits; or "".
func withDigits(n int) string {
	i := slices.IndexFunc(agent.Algorithms, func(a agent.Algorithm) bool { return a.Published && a.Digits() == n })
	if i < 0 {
		return ""
	}
	return agent.Algorithms[i].Name
}

// Find returns the digests that a checksum file gives for the file
// with a path, such as that of a URL. A file that is about one artifact only may give
// it without its name, or with another one; one that is shared by many may leave it
// out, and then the error is [ErrNotListed]. A [NoneError] says that it is no
// checksum file; any other error, why it cannot be used.
func Find(data []byte, path string, shared bool) ([]agent.Checksum, error) {
	var found contents
	kind := textfile.Kind(data)
	switch kind {
	case textfile.LFSPointer, textfile.Undecodable:
		return nil, errors.New("it is " + kind)
	case textfile.Binary, textfile.OtherText:
		if withDigits(2*len(data)) != "" {
			return nil, errors.New("it is a digest in binary form, not in hexadecimal digits")
		}
	}
	text, _ := textfile.Decode(data) // it was decoded for its kind
	switch kind {
	case textfile.OtherText, textfile.PlainText, textfile.PEM:
		found.readText(string(text))
	case textfile.JSON:
		found.readJSON(text)
	default:
		return nil, &NoneError{kind}
	}
	return found.of(path, shared, kind)
}

func (c *contents) of(path string, shared bool, kind string) ([]agent.Checksum, error) {
	named, err := c.named(path)
	switch {
	case len(named) > 0 || err != nil:
		return named, err
	case len(c.sums) > 0 && shared:
		return nil, ErrNotListed
	case len(c.sums) > 0:
		return c.alone(path)
	case c.broken:
		return nil, fmt.Errorf("its digest is not as long as one of %s: it may be cut short", strings.Join(names, " or "))
	case c.weak:
		return nil, fmt.Errorf("it has digests of other algorithms than %s only", strings.Join(names, " and "))
	case c.unread:
		return nil, errors.New("it may have a digest, in a form that is not known")
	}
	return nil, &NoneError{kind}
}

// named returns the digests of the names that share most of a path's end.
func (c *contents) named(path string) ([]agent.Checksum, error) {
	best, name := 0, ""
	var found []agent.Checksum
	ambiguous := false
	for _, s := range c.sums {
		rank := common(s.name, path)
		switch {
		case rank == 0 || rank < best:
			continue
		case rank > best:
			best, name, found, ambiguous = rank, s.name, nil, false
		case s.name != name && !agrees(found, s.Checksum):
			ambiguous = true
		}
		if !slices.Contains(found, s.Checksum) {
			found = append(found, s.Checksum)
		}
	}
	if ambiguous {
		return nil, fmt.Errorf("it lists several files called %q, with different digests", shown(path))
	}
	return found, nil
}

func agrees(all []agent.Checksum, one agent.Checksum) bool {
	return !slices.ContainsFunc(all, func(c agent.Checksum) bool { return c.Algorithm == one.Algorithm && c.Hex != one.Hex })
}

// alone is for a file that is about one artifact, whatever it calls that.
func (c *contents) alone(path string) ([]agent.Checksum, error) {
	var found []agent.Checksum
	for _, s := range c.sums {
		switch {
		case s.exact || slices.Contains(found, s.Checksum):
		case !agrees(found, s.Checksum):
			return nil, fmt.Errorf("it lists several files, but not %q", shown(path))
		default:
			found = append(found, s.Checksum)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("it does not name %q", shown(path))
	}
	return found, nil
}

// common counts the elements that a name and a path share at their ends.
func common(name, path string) int {
	if name == "" {
		return 0
	}
	a, b := strings.Split(name, "/"), strings.Split(path, "/")
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// shown returns the last element of a path, as messages have it.
func shown(path string) string {
	const most = 100
	name := path[strings.LastIndex(path, "/")+1:]
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

// The algorithm is empty if only the length tells it.
func (c *contents) add(algorithm, digits, name string, exact bool) {
	known := withDigits(len(digits))
	switch {
	case algorithm != "" && !slices.Contains(names, algorithm) || !isHex(digits):
		c.weak = true
	case known != "" && (algorithm == "" || algorithm == known):
		name = strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "./")
		c.sums = append(c.sums, sum{agent.Checksum{Algorithm: known, Hex: strings.ToLower(digits)}, name, exact})
	case algorithm == "" && exact:
		// The number of a request, or whatever else a server says.
	case algorithm == "" && slices.Contains([]int{32, 40, 56, 96}, len(digits)):
		c.weak = true
	default:
		c.broken = true
	}
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// separators stand in some spellings of an algorithm's name and not in others.
var separators = strings.NewReplacer("-", "", "_", "", " ", "", "/", "")

// other matches the names of algorithms of which no digest is taken, less separators.
var other = lazyregexp.New(`^(md[245]|sha[0-9]+|shake[0-9]+|keccak[0-9]*|blake[0-9][a-z0-9]*|b[23]|sm3|crc[0-9]+[a-z]?|rmd160|ripemd(160)?|whirlpool|tiger|gost|xxh[0-9]+|hmac[a-z0-9]+)$`)

// algorithm reads the name of one: one of names, or "other"; or "" if it is none. OpenSSL 3 writes SHA2-256, programs' names end in sum.
func algorithm(name string) string {
	if len(name) > 24 {
		return ""
	}
	plain := strings.ToLower(separators.Replace(name))
	plain = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(plain, "digest"), "hash"), "sum")
	for _, name := range names {
		if plain == name || plain == strings.Replace(name, "sha", "sha2", 1) {
			return name
		}
	}
	if other.MatchString(plain) {
		return "other"
	}
	return ""
}
