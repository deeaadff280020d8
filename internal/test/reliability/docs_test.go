//go:build unix

package reliability

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// docs has the matrix between two markers, and updateEnv has it written anew.
var docs = filepath.Join("..", "..", "..", "docs", "reference", "faults.md")

const (
	updateEnv   = "UPDATE_DOCS"
	beginMarker = "<!-- matrix:begin -->\n"
	endMarker   = "<!-- matrix:end -->\n"
	heading     = "### "
)

// TestMatrix has every command meet every fault that it can, and compares what
// came of it with docs/reference/faults.md. A table that was not run as a whole is
// left as it is there.
func TestMatrix(t *testing.T) {
	t.Parallel()
	tables := slices.Concat(upstreamTables(t), []*table{registryTable(t)}, offlineTables())
	complete := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, tab := range tables {
		group.Go(func() {
			t.Run(tab.title, func(t *testing.T) {
				whole := tab.run(t)
				mu.Lock()
				defer mu.Unlock()
				complete[tab.title] = whole
			})
		})
	}
	group.Wait()
	before, matrix, after := splitDocs(t)
	documented := sections(matrix)
	var now strings.Builder
	for _, tab := range tables {
		text := documented[tab.title]
		if complete[tab.title] {
			text = tab.markdown()
			if text != documented[tab.title] && os.Getenv(updateEnv) == "" {
				t.Errorf("%s: %q is not what the tests found; %s=1 go test ./internal/test/reliability -run TestMatrix writes it:\n%s", docs, tab.title, updateEnv, text)
			}
		}
		now.WriteString(text)
	}
	if os.Getenv(updateEnv) != "" {
		writeFile(t, docs, []byte(before+beginMarker+now.String()+endMarker+after))
	}
}

// splitDocs returns what the documentation has before, between and after the markers.
func splitDocs(t testing.TB) (before, matrix, after string) {
	t.Helper()
	data, err := os.ReadFile(docs)
	check(t, err)
	before, rest, found1 := strings.Cut(string(data), beginMarker)
	matrix, after, found2 := strings.Cut(rest, endMarker)
	if !found1 || !found2 {
		t.Fatalf("%s lacks the markers of the matrix", docs)
	}
	return before, matrix, after
}

// sections returns the tables by their titles.
func sections(matrix string) map[string]string {
	found := map[string]string{}
	for i, text := range strings.Split("\n"+matrix, "\n"+heading) {
		if i == 0 {
			continue
		}
		title, _, _ := strings.Cut(text, "\n")
		found[title] = heading + strings.TrimRight(text, "\n") + "\n\n"
	}
	return found
}
