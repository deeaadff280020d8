package lock

import (
	"cmp"
	"strings"

	"github.com/hashicorp/go-version"
)

// CompareReleases orders mirrors by their Botkube versions, the newest first, and those
// that have none by their tags, last.
func CompareReleases(a, tagA, b, tagB string) int {
	x, errX := version.NewVersion(a)
	y, errY := version.NewVersion(b)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(y.Compare(x), strings.Compare(tagA, tagB))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(tagA, tagB)
}
