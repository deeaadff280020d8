package agent

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Checksum is a digest that an index or a checksum file gives for a file.
type Checksum struct {
	// Algorithm is the name of one of [Algorithms].
	Algorithm string
	// Hex is the digest in lower-case hexadecimal digits.
	Hex string
}

func (c Checksum) String() string { return c.Algorithm + ":" + c.Hex }

// Algorithm is a way to compute a checksum.
type Algorithm struct {
	Name string
	New  func() hash.Hash
	// Published means that checksum files with such digests are trusted: no way is known to make
	// two files with the same digest.
	Published bool
}

// Algorithms are those that go-getter knows (checksum.go, newChecksumFromType).
var Algorithms = []Algorithm{
	{Name: "md5", New: md5.New},
	{Name: "sha1", New: sha1.New},
	{Name: "sha256", New: sha256.New, Published: true},
	{Name: "sha512", New: sha512.New, Published: true},
}

// Digits is how many hexadecimal digits a digest has.
func (a Algorithm) Digits() int { return 2 * a.New().Size() }

// AlgorithmOf returns the algorithm with a name.
func AlgorithmOf(name string) (Algorithm, bool) {
	i := slices.IndexFunc(Algorithms, func(a Algorithm) bool { return a.Name == name })
	if i < 0 {
		return Algorithm{}, false
	}
	return Algorithms[i], true
}

// ParseChecksum reads a checksum as go-getter does: TYPE:HEX, or digits whose number tells the
// type (go-getter checksum.go, extractChecksum). For file:URL, see [Location.ChecksumFile].
func ParseChecksum(s string) (Checksum, error) {
	algorithm, digits, typed := strings.Cut(s, ":")
	if !typed {
		digits = s
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return Checksum{}, fmt.Errorf("checksum %q is not hexadecimal", clip(s))
	}
	var names []string
	for _, a := range Algorithms {
		if a.Digits() == len(digits) && (!typed || strings.ToLower(algorithm) == a.Name) {
			return Checksum{Algorithm: a.Name, Hex: hex.EncodeToString(raw)}, nil
		}
		names = append(names, a.Name)
	}
	return Checksum{}, fmt.Errorf("checksum %q is not a digest of %s", clip(s), strings.Join(names, " or "))
}
