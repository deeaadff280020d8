package lock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// SHA256 is a digest. In JSON, it is a string of 64 lower-case hexadecimal digits.
type SHA256 [sha256.Size]byte

// ParseSHA256 reads 64 hexadecimal digits.
func ParseSHA256(s string) (SHA256, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return SHA256{}, fmt.Errorf("%q is not a sha256 digest of 64 hexadecimal digits", s)
	}
	return SHA256(b), nil
}

// Sum returns the digest of data.
func Sum(data []byte) SHA256 { return sha256.Sum256(data) }

// String returns 64 lower-case hexadecimal digits.
func (d SHA256) String() string { return hex.EncodeToString(d[:]) }

// OCI returns the digest as OCI writes it: sha256:HEX (image-spec, descriptor.md).
func (d SHA256) OCI() string { return "sha256:" + d.String() }

// MarshalText returns the digits of [SHA256.String].
func (d SHA256) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text with [ParseSHA256].
func (d *SHA256) UnmarshalText(text []byte) (err error) {
	*d, err = ParseSHA256(string(text))
	return err
}
