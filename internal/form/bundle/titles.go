package bundle

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// maxSegment bounds, in bytes, a part of a title, with room for a suffix.
const maxSegment = 150

// titled is an upstream file and the name that it is given back by.
type titled struct {
	url  string
	tree lock.DirArchive
	lock.Blob
	title string
}

// key tells files apart: an index that two repositories share may have changed
// between their requests.
func (t titled) key() string { return t.url + "\n" + t.SHA256.String() }

// nameAll gives every file a title that is a relative path on any system, and
// that is neither another's, whatever the case, nor a directory in another's.
// The same files get the same titles in any order.
func nameAll(files []titled) {
	bases := make([]string, len(files))
	// levels say how much of a digest each title needs.
	levels := make([]int, len(files))
	for i, f := range files {
		var query bool
		bases[i], query = baseTitle(f.url)
		if f.tree != "" {
			bases[i] += "." + lock.DirArchiveFormat
		}
		if query {
			levels[i] = 1
		}
	}
	for again := true; again; {
		for i := range files {
			files[i].title = suffixed(bases[i], files[i].key(), levels[i])
		}
		again = false
		for _, i := range clashes(files) {
			if levels[i] < len(suffixDigits)-1 {
				levels[i]++
				again = true
			}
		}
	}
}

// suffixDigits are the lengths of a suffix by level. Who makes a URL may copy
// twelve digits of another's digest, but cannot make one that holds its own.
var suffixDigits = []int{0, 12, 64}

// clashes returns the files that cannot have their titles in one directory.
func clashes(files []titled) []int {
	owners := map[string][]int{}
	for i, f := range files {
		folded := strings.ToLower(f.title)
		owners[folded] = append(owners[folded], i)
	}
	var found []int
	for folded, same := range owners {
		if len(same) > 1 {
			found = append(found, same...)
		}
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			found = append(found, owners[dir]...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// suffixed inserts a part of a key's digest before the extension.
func suffixed(title, key string, level int) string {
	digits := suffixDigits[level]
	if digits == 0 {
		return title
	}
	stem, ext := splitExtension(title)
	return stem + "-" + lock.Sum([]byte(key)).String()[:digits] + ext
}

// extensions are those that say how a file is used.
var extensions = append([]string{"exe", "sh", "yaml", "yml", "json"}, agent.ArchiveFormats...)

func splitExtension(title string) (stem, ext string) {
	for _, e := range extensions {
		if e = "." + e; len(e) > len(ext) && strings.HasSuffix(title, e) && !strings.HasSuffix(title, "/"+e) {
			ext = e
		}
	}
	return strings.TrimSuffix(title, ext), ext
}

// baseTitle makes a path of a URL's host and path. It contains no directory of this machine, no
// user and no parameters; query reports whether the URL has parameters.
func baseTitle(raw string) (title string, query bool) {
	_, raw = agent.SplitGetter(raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme == "file" {
		return localTitle(raw), false
	}
	parts := []string{strings.ToLower(u.Host)}
	for p := range strings.SplitSeq(u.EscapedPath(), "/") {
		if p != "" && p != "." && p != ".." {
			parts = append(parts, p)
		}
	}
	if len(parts) == 1 {
		parts = append(parts, "index")
	}
	for i, p := range parts {
		parts[i] = safeName(p)
	}
	return strings.Join(parts, "/"), u.RawQuery != ""
}

// localTitle is for files of this machine.
func localTitle(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	base := strings.TrimRight(raw, `/\`)
	base = base[strings.LastIndexAny(base, `/\`)+1:]
	if base == "" || base == "." || base == ".." {
		base = "file"
	}
	return "local/" + safeName(base)
}

// safeName makes a file name of s that every common system takes.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`:*?"<>|\/`, r) {
			return '_'
		}
		return r
	}, s)
	if len(s) > maxSegment {
		stem, ext := splitExtension(s)
		s = stem[:maxSegment-len(ext)-13] + "-" + lock.Sum([]byte(s)).String()[:12] + ext
	}
	if strings.HasSuffix(s, ".") {
		s = s[:len(s)-1] + "_" // Windows drops it
	}
	if stem, rest, _ := strings.Cut(s, "."); reserved(stem) {
		s = strings.TrimSuffix(stem+"_."+rest, ".")
	}
	return s
}

// reserved reports whether a name means a device on Windows, whatever its
// extension.
func reserved(stem string) bool {
	switch stem = strings.ToUpper(stem); stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
}
