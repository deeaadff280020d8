package entry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Sums are the digests that a SHA256SUMS has, by the paths of their files.
type Sums map[string]lock.SHA256

// ParseSums reads SHA256SUMS.
func ParseSums(data []byte) (Sums, error) {
	data, err := textfile.Decode(data)
	if err != nil {
		return nil, err
	}
	sums := Sums{}
	for line := range strings.Lines(string(data)) {
		digest, p, found := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		sum, err := lock.ParseSHA256(digest)
		if _, twice := sums[p]; !found || err != nil || twice {
			return nil, fmt.Errorf("the line %.200q is wrong: expected a digest and a path that occurs only once", line)
		}
		sums[p] = sum
	}
	return sums, nil
}

// Marshal is the content of SHA256SUMS.
func (s Sums) Marshal() []byte {
	var out bytes.Buffer
	for _, p := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&out, "%s  %s\n", s[p], p)
	}
	return out.Bytes()
}

// Of returns the digest of the file at a path, or nil if there is none.
func (s Sums) Of(p string) *lock.SHA256 {
	if sum, listed := s[p]; listed {
		return &sum
	}
	return nil
}

// Documents reads documents in a directory of a tree, which must be those that its
// SHA256SUMS names: a run that ends while it completes the directory leaves others, and
// an index may then still name what the lock does not.
func (s Sums) Documents(t *atomicdir.Tree, dir string, names []string) (map[string][]byte, error) {
	documents := map[string][]byte{}
	for _, name := range names {
		p := path.Join(dir, name)
		data, err := t.Read(p, lock.MaxSize)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading %s: %w", t.At(p), atomicdir.Explain(err))
		}
		if err != nil || s[name] != lock.Sum(data) {
			return nil, fault.New(fault.Incomplete, "%s was not updated completely, or one of its indexes was changed", t.At(dir)).
				WithHint("run the pull again; botkube-mirror verify shows which file is wrong")
		}
		documents[name] = data
	}
	return documents, nil
}

// Check returns an error if data, from which the digests were read, was changed after it was
// written. It must list exactly the files at the given paths.
func (s Sums) Check(data []byte, paths []string) error {
	written := s.Marshal()
	if slices.Equal(slices.Sorted(maps.Keys(s)), slices.Sorted(slices.Values(paths))) {
		if bytes.Equal(data, written) {
			return nil
		}
		if text, err := textfile.Decode(data); err == nil && bytes.Equal(text, written) {
			return errors.New("its encoding or its line ends were changed, perhaps by an editor: sha256sum -c cannot read it")
		}
	}
	return errors.New("its files or their order are not those of the lock")
}
