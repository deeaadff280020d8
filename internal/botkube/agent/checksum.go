package agent

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Checksum is a digest that somebody gave for a file.
type Checksum struct {
	// Algorithm is md5, sha1, sha256 or sha512.
	Algorithm string
	// Hex is the digest in lower-case hexadecimal digits.
	Hex string
}

func (c Checksum) String() string { return c.Algorithm + ":" + c.Hex }

// checksumSizes has the length in bytes of each digest that go-getter knows
// (checksum.go, newChecksumFromType).
var checksumSizes = map[string]int{"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}

// ParseChecksum reads a checksum as the agent's go-getter does: TYPE:HEX, or
// bare hexadecimal digits whose number tells the type
// (go-getter checksum.go, extractChecksum). The form file:URL is none of its own:
// see [Location.ChecksumFile].
func ParseChecksum(s string) (Checksum, error) {
	algorithm, digits, typed := strings.Cut(s, ":")
	if !typed {
		algorithm, digits = "", s
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return Checksum{}, fmt.Errorf("checksum %q is not hexadecimal", clip(s))
	}
	algorithm = strings.ToLower(algorithm)
	if !typed {
		for name, size := range checksumSizes {
			if size == len(raw) {
				algorithm = name
			}
		}
	}
	if size, known := checksumSizes[algorithm]; !known || size != len(raw) {
		return Checksum{}, fmt.Errorf("checksum %q is not an md5, sha1, sha256 or sha512 digest", clip(s))
	}
	return Checksum{Algorithm: algorithm, Hex: hex.EncodeToString(raw)}, nil
}
