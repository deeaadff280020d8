package fetch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// expectation is what a request says of its content.
type expectation struct {
	// sha256 is nil where it is not known.
	sha256 *lock.SHA256
	// checksums has everything, sha256 included, one of each algorithm.
	checksums []agent.Checksum
	// size is -1 where it is not known.
	size int64
	// source says who expects this.
	source string
}

// expect gathers what a request says, which must not contradict itself.
func expect(req Request) (expectation, error) {
	e := expectation{size: -1, source: cmp.Or(req.Source, "the request")}
	if req.Size > 0 {
		e.size = req.Size
	}
	all := slices.Clone(req.Checksums)
	if req.SHA256 != nil {
		all = append(all, sha256Checksum(*req.SHA256))
	}
	for _, c := range all {
		if err := e.add(c); err != nil {
			return e, err
		}
	}
	return e, nil
}

func sha256Checksum(d lock.SHA256) agent.Checksum {
	return agent.Checksum{Algorithm: "sha256", Hex: d.String()}
}

func (e *expectation) add(c agent.Checksum) error {
	c, err := agent.ParseChecksum(c.String())
	if err != nil {
		return fault.New(fault.Integrity, "%s gives no usable checksum: %w", e.source, err)
	}
	for _, other := range e.checksums {
		if other == c {
			return nil
		}
		if other.Algorithm == c.Algorithm {
			return fault.New(fault.Integrity, "%s gives two checksums that contradict each other: %s and %s", e.source, other, c).
				WithHint("one of them is wrong: ask the publisher")
		}
	}
	e.checksums = append(e.checksums, c)
	if c.Algorithm == "sha256" {
		d, err := lock.ParseSHA256(c.Hex)
		if err != nil {
			return fault.New(fault.Integrity, "%s gives no usable checksum: %w", e.source, err)
		}
		e.sha256 = &d
	}
	return nil
}

// vouched reports whether a digest will tell right content from wrong.
func (e expectation) vouched() bool { return len(e.checksums) > 0 }

// mismatch is the error for content that is not what was expected.
func (e expectation) mismatch(what, want, got string) error {
	return fault.New(fault.Integrity, "%s does not match: %s expects %s, but what was downloaded has %s", what, e.source, want, got).
		WithHint("nothing was kept; either the file was replaced upstream or something on the way alters it: compare with what the publisher announces")
}

// checkSize compares a size with the expected one.
func (e expectation) checkSize(size int64) error {
	if e.size < 0 || e.size == size {
		return nil
	}
	return e.mismatch("the size", fmt.Sprintf("%d bytes", e.size), fmt.Sprint(size))
}

// check compares digests with the expected ones, and names all that differ.
func (e expectation) check(digests []agent.Checksum) error {
	var want, got []string
	for _, c := range e.checksums {
		i := slices.IndexFunc(digests, func(d agent.Checksum) bool { return d.Algorithm == c.Algorithm })
		if i < 0 {
			return fault.New(fault.Unexpected, "no %s digest was computed", c.Algorithm)
		}
		if digests[i] != c {
			want, got = append(want, c.String()), append(got, digests[i].String())
		}
	}
	if len(want) == 0 {
		return nil
	}
	return e.mismatch("the checksum", strings.Join(want, " and "), strings.Join(got, " and "))
}

// sums hashes what it is written, by sha256 and by what is expected besides.
type sums []sum

type sum struct {
	algorithm string
	hash.Hash
}

func newSums(e expectation) sums {
	s := sums{{"sha256", sha256.New()}}
	for _, c := range e.checksums {
		if a, ok := agent.AlgorithmOf(c.Algorithm); ok && a.Name != "sha256" {
			s = append(s, sum{a.Name, a.New()})
		}
	}
	return s
}

func (s sums) Write(p []byte) (int, error) {
	for _, h := range s {
		_, _ = h.Write(p) // which never fails
	}
	return len(p), nil
}

func (s sums) Reset() {
	for _, h := range s {
		h.Reset()
	}
}

// SHA256 returns the digest of what was written so far.
func (s sums) SHA256() lock.SHA256 { return lock.SHA256(s[0].Sum(nil)) }

// digests returns all digests of what was written so far, sha256 first.
func (s sums) digests() []agent.Checksum {
	all := make([]agent.Checksum, len(s))
	for i, h := range s {
		all[i] = agent.Checksum{Algorithm: h.algorithm, Hex: hex.EncodeToString(h.Sum(nil))}
	}
	return all
}
