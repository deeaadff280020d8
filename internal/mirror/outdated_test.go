package mirror

import "testing"

// TestFollows has versions with and without an order, and pre-releases.
func TestFollows(t *testing.T) {
	for _, c := range []struct {
		version, have string
		prereleases   bool
		want          bool
	}{
		{"v1.1.0", "v1.0.0", false, true},
		{"1.1.0", "v1.0.0", false, true},
		{"v1.10.0", "v1.9.0", false, true},
		{"v1.0.0", "v1.0.0", false, false},
		{"v0.9.0", "v1.0.0", false, false},
		{"v1.1.0-rc.1", "v1.0.0", false, false},
		{"v1.1.0-rc.1", "v1.0.0", true, true},
		{"v1.1.0-rc.2", "v1.1.0-rc.1", false, true},
		{"v1.1.0", "v1.1.0-rc.1", false, true},
		{"v1.1.0-rc.1", "v1.1.0", true, false},
		{"main", "v1.0.0", false, true},
		{"main", "main", false, false},
	} {
		if got := follows(c.version, c.have, c.prereleases); got != c.want {
			t.Errorf("%s after %s (%t): %t", c.version, c.have, c.prereleases, got)
		}
	}
}

// TestQuote has words that a shell would take apart.
func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"demo=https://e.com/i.yaml": "demo=https://e.com/i.yaml", "a b": "'a b'", "it's": `'it'\''s'`, "x?ref=1": "'x?ref=1'", "{os}": "'{os}'", "~/lock": "'~/lock'",
	} {
		if got := quote(word); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
