package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSimilar(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"bundle.tar", ".values.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"bundel.tar": "bundle.tar", "bundle": "bundle.tar", "bundle.tar": "", "nothing": "", "values.yaml": "", "none/bundle.tar": "",
	} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got := Similar(filepath.Join(dir, name)); got != want {
			t.Errorf("Similar(%q) = %q, want %q", name, got, want)
		}
	}
}
