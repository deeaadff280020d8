package mirror

import (
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Target is where an output goes.
type Target struct {
	// Path is that of an agent cache directory.
	Path string
}

// otherForms are the targets of a form that this program does not write.
var otherForms = []string{"oci:", "oci-archive:", "site:", "image:", "docker://"}

// ParseTarget reads PATH or dir:PATH.
func ParseTarget(s string) (Target, error) {
	if dir, ok := strings.CutPrefix(s, "dir:"); ok {
		s = dir
	} else if s == "-" || strings.HasSuffix(s, ".tar") {
		return Target{}, unsupported(s)
	} else {
		for _, form := range otherForms {
			if strings.HasPrefix(s, form) {
				return Target{}, unsupported(s)
			}
		}
	}
	if s == "" {
		return Target{}, fault.New(fault.Usage, "an output has no path")
	}
	return Target{Path: s}, nil
}

func unsupported(s string) error {
	return fault.New(fault.Usage, "the output %q is not a directory, and nothing else can be written yet", s).
		WithHint("name a directory: PATH, or dir:PATH if its name looks like something else")
}
