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
		c, err := agent.ParseChecksum(c.String())
		if err != nil {
			return e, fault.New(fault.Integrity, "%s gives no usable checksum: %w", e.source, err)
		}
		switch i := indexOf(e.checksums, c.Algorithm); {
		case i < 0:
			e.checksums = append(e.checksums, c)
		case e.checksums[i] != c:
			return e, fault.New(fault.Integrity, "%s gives two checksums that contradict each other: %s and %s", e.source, e.checksums[i], c).
				WithHint("one of them is wrong: ask the publisher")
		}
		if c.Algorithm == "sha256" {
			d, _ := lock.ParseSHA256(c.Hex) // as ParseChecksum has checked
			e.sha256 = &d
		}
	}
	return e, nil
}

func sha256Checksum(d lock.SHA256) agent.Checksum {
	return agent.Checksum{Algorithm: "sha256", Hex: d.String()}
}

func indexOf(checksums []agent.Checksum, algorithm string) int {
	return slices.IndexFunc(checksums, func(c agent.Checksum) bool { return c.Algorithm == algorithm })
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

// check compares digests, one for each that is expected, and names all that differ.
func (e expectation) check(digests []agent.Checksum) error {
	var wanted, had []string
	for _, c := range e.checksums {
		if got := digests[indexOf(digests, c.Algorithm)]; got != c {
			wanted, had = append(wanted, c.String()), append(had, got.String())
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	return e.mismatch("the checksum", strings.Join(wanted, " and "), strings.Join(had, " and "))
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
