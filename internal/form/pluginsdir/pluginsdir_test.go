package pluginsdir

import "testing"

func TestFileURL(t *testing.T) {
	if got, want := fileURL("/var/lib/a b", "r/executor_v1.0+x?_y"), "file:///var/lib/a%20b/r/executor_v1.0+x%3F_y"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
