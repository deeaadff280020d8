package lock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// SHA256 is a digest. In JSON it is 64 lower-case hexadecimal digits.
type SHA256 [sha256.Size]byte

// ParseSHA256 reads 64 hexadecimal digits.
func ParseSHA256(s string) (SHA256, error) {
	var d SHA256
	if len(s) != hex.EncodedLen(len(d)) {
		return SHA256{}, fmt.Errorf("%q is not a sha256 digest of 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return SHA256{}, fmt.Errorf("%q is not a sha256 digest of 64 hexadecimal digits", s)
	}
	return d, nil
}

// Sum returns the digest of data.
func Sum(data []byte) SHA256 { return sha256.Sum256(data) }

func (d SHA256) String() string { return hex.EncodeToString(d[:]) }

// OCI returns the digest as OCI writes it: sha256:HEX (image-spec, descriptor.md).
func (d SHA256) OCI() string { return "sha256:" + d.String() }

// MarshalText writes hexadecimal digits.
func (d SHA256) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseSHA256] reads.
func (d *SHA256) UnmarshalText(text []byte) error {
	parsed, err := ParseSHA256(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
