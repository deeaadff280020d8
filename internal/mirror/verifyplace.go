package mirror

import (
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// located compares the place that a mirror is written for with the one that is given.
func (v *verifying) located() {
	access, o := v.found.Form.Access, v.options
	switch {
	case o.BaseURL != "" && access == form.Mounted:
		v.found.Note("nothing of it is served, so that --base-url was not looked at")
	case o.Mount != "" && access == form.Downloaded:
		v.found.Note("an agent sees nothing of it in its file system, so that --mount was not looked at")
	case o.BaseURL+o.Mount != "" && access == form.Carried && len(o.Values) == 0:
		v.found.Note("a bundle is written for no place, so that --base-url and --mount count only with --values")
	}
	found := v.found.FoundMount
	v.misplaced = v.misplaced || access == form.Mounted && o.Mount != "" && found != "" && found != o.Mount
}

// onlyMisplaced reports whether nothing is wrong but that the mirror is written for
// another place, or with the values.
func (v *Verification) onlyMisplaced() bool {
	ofValues := 0
	if v.Values != nil {
		ofValues = len(v.Values.Problems)
	}
	indexes := 0
	for _, p := range v.Problems {
		if p.Kind == audit.KindIndex {
			indexes++
		}
	}
	return v.place != nil && indexes > 0 && indexes+ofValues == len(v.Problems)
}

// relocate says what to do about a mirror that is written for another place.
func (v *Verification) relocate() string {
	if v.form.Access == form.Downloaded {
		return fmt.Sprintf("write it for there: botkube-mirror unpack BUNDLE -o site:DIR --base-url %s\n"+
			"or, if botkube-mirror serve answers there, which writes the indexes anew, say so: --served", v.place.BaseURL)
	}
	return fmt.Sprintf("have the agent see it at %s (plugins.cacheDir, and where the volume is mounted), or write it for %[2]s: unpack, or push, with --mount %[2]s", v.Mount, v.place.Mount)
}
