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

// expectation is what the content of a request must be.
type expectation struct {
	// sha256 is nil if unknown.
	sha256 *lock.SHA256
	// checksums has all checksums, with sha256, one for each algorithm.
	checksums []agent.Checksum
	// size is in bytes; -1 if unknown.
	size int64
	// source says where the checksums and the size come from.
	source string
}

// expect collects the expectation of a request. Checksums that contradict each other are an error.
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
			return e, fault.New(fault.Integrity, "%s has a checksum that is not valid: %w", e.source, err)
		}
		switch i := indexOf(e.checksums, c.Algorithm); {
		case i < 0:
			e.checksums = append(e.checksums, c)
		case e.checksums[i] != c:
			return e, fault.New(fault.Integrity, "%s has two checksums that contradict each other: %s and %s", e.source, e.checksums[i], c).
				WithHint("ask the publisher which one is right")
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

// hasDigest reports whether a digest of the content is known.
func (e expectation) hasDigest() bool { return len(e.checksums) > 0 }

// mismatch returns the error for content that is not what was expected.
func (e expectation) mismatch(what, want, got string) error {
	return fault.New(fault.Integrity, "%s does not match: %s has %s, but the downloaded file has %s", what, e.source, want, got).
		WithHint("the file was not kept; compare it with what the publisher announces: it was replaced upstream, or something on the way changed it")
}

// checkSize compares a size in bytes with the expected one.
func (e expectation) checkSize(size int64) error {
	if e.size < 0 || e.size == size {
		return nil
	}
	return e.mismatch("the size", fmt.Sprintf("%d bytes", e.size), fmt.Sprint(size))
}

// check compares digests with the expected ones. Its error names all that differ.
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

// sums hashes what is written to it with sha256 and with each algorithm of the expected checksums.
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
		_, _ = h.Write(p) // never fails
	}
	return len(p), nil
}

func (s sums) Reset() {
	for _, h := range s {
		h.Reset()
	}
}

// SHA256 returns the sha256 of all bytes so far.
func (s sums) SHA256() lock.SHA256 { return lock.SHA256(s[0].Sum(nil)) }

// digests returns all digests of the bytes so far, sha256 first.
func (s sums) digests() []agent.Checksum {
	all := make([]agent.Checksum, len(s))
	for i, h := range s {
		all[i] = agent.Checksum{Algorithm: h.algorithm, Hex: hex.EncodeToString(h.Sum(nil))}
	}
	return all
}
