package oci

import (
	"cmp"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Report reports a blob, of which f says what it is, and what is wrong with it. An error
// that is no damage is returned.
func Report(r *audit.Report, b lock.Blob, f audit.File, err error) error {
	f.Path, f.Basis = BlobPath(b.SHA256), cmp.Or(f.Basis, audit.ByManifest)
	if err == nil {
		f.State, f.Size, f.SHA256 = audit.Intact, b.Size, &b.SHA256
		r.Add(f, "")
		return nil
	}
	state, ok := audit.StateOf(err)
	if !ok {
		return err
	}
	f.State, f.Expected = state, &b.SHA256
	detail := fmt.Sprintf("%s: %v", f.Content, err)
	if state == audit.Missing {
		detail = f.Content + ": it is missing"
	}
	r.Add(f, detail)
	return nil
}
