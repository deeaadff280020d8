//go:build unix

package reliability

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// again is how much of a file comes over the wire more than once.
type again int

const (
	nothing again = iota
	// aPart is at most what lies between two checkpoints.
	aPart
	// allOfIt says that there is no resuming.
	allOfIt
)

// checkpoint is how much may be lost where a download is resumed, in bytes.
const checkpoint = 1 << 20

func (a again) String() string { return [...]string{"0", "< 1 MiB", "the whole file"}[a] }

// measured sorts what was counted of a file of some size.
func measured(bytes int64, size int) again {
	switch {
	case bytes == 0, bytes == 1 && size > checkpoint: // one byte is asked for, for the size, where HEAD is refused
		return nothing
	case bytes <= checkpoint && size > checkpoint:
		return aPart
	}
	return allOfIt
}

// want is how a command is to end that meets a fault.
type want struct {
	// code is its exit code.
	code int
	// says is in the message of a command that fails.
	says string
	// again is counted until the command is done, in a following run without
	// the fault if this one fails.
	again again
	// about is in the message as well; where it is empty, that is the file.
	about string
	// unnoticed says that the command is done with damaged content, since
	// no publisher gives a checksum.
	unnoticed bool
	// note is what else there is to say of a command that is done.
	note string
}

// done and fails are short for outcomes; what does not matter to one is left out.
func done(a again) want                         { return want{again: a} }
func fails(code int, says string, a again) want { return want{code: code, says: says, again: a} }

var (
	unnoticed   = want{unnoticed: true}
	unknownSize = want{note: "the size is not known"}
	unverified  = want{note: "unverified"}
)

// cell is a fault that a command meets.
type cell interface {
	// run has the command meet the fault, and says how that ended.
	run(t *testing.T) string
}

// table is a part of the matrix, as the documentation shows it.
type table struct {
	title   string
	columns []string
	rows    []*row
	// prepare, if not nil, makes the rows, or skips the table's test.
	prepare func(t *testing.T)
}

type row struct {
	name  string
	cells []cell // nil where a command does not meet the fault
	texts []string
}

// slots is how many cells of all tables run at a time: most of them wait.
var slots = make(chan struct{}, 10)

// run runs all cells as tests of the form table/fault/command, and reports
// whether none was left out or failed.
func (tab *table) run(t *testing.T) (complete bool) {
	if tab.prepare != nil {
		tab.prepare(t)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	complete = true
	run := func(r *row, column int) {
		defer func() { <-slots }()
		text := ""
		t.Run(r.name+"/"+tab.columns[column], func(t *testing.T) { text = r.cells[column].run(t) })
		mu.Lock()
		defer mu.Unlock()
		r.texts[column] = text
		complete = complete && text != ""
	}
	n := 0
	for _, r := range tab.rows {
		r.texts = make([]string, len(r.cells))
		for i, c := range r.cells {
			if c == nil {
				r.texts[i] = "–"
				continue
			}
			if n++; left(n, 120) {
				mu.Lock()
				complete = false
				mu.Unlock()
				continue
			}
			slots <- struct{}{}
			group.Go(func() { run(r, i) })
		}
	}
	group.Wait()
	return complete
}

// markdown returns the table as the documentation has it. Faults that end
// alike share a row.
func (tab *table) markdown() string {
	names := map[string][]string{}
	var order []string
	for _, r := range tab.rows {
		cells := strings.Join(r.texts, " | ")
		if names[cells] == nil {
			order = append(order, cells)
		}
		names[cells] = append(names[cells], r.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n\n| | %s |\n|---|%s\n", heading, tab.title, strings.Join(tab.columns, " | "), strings.Repeat("---|", len(tab.columns)))
	for _, cells := range order {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(names[cells], ";<br>"), cells)
	}
	return b.String() + "\n"
}

// text is how an outcome is shown, with what there is of the output if the command fails.
func (w want) text(kept string) string {
	switch {
	case w.unnoticed:
		return "done, **unnoticed**"
	case w.note != "":
		return "done, " + w.note
	case w.code == 0:
		return fmt.Sprintf("done, %s again", w.again)
	}
	if kept != "" {
		kept += ", "
	}
	return fmt.Sprintf("exit %d, %s%s again", w.code, kept, w.again)
}

// checkAgain compares how many bytes of a file of some size came more than once.
func (w want) checkAgain(t testing.TB, bytes int64, size int) {
	t.Helper()
	if got := measured(bytes, size); got > w.again || got < w.again && w.again == allOfIt {
		t.Errorf("%d bytes came again (%s), want %s", bytes, got, w.again)
	}
}

// within runs the program to its end, which must come: a test that hangs says nothing.
func within(t testing.TB, c *exec.Cmd) outcome {
	t.Helper()
	watch := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer watch.Stop()
	return finish(t, c)
}

// secrets are in URLs of the tests, and must not be seen elsewhere.
var secrets = []string{"hunter2-of-a-robot", "t0ken-of-a-url"}

// talk is what no user should have to read.
var talk = regexp.MustCompile(`goroutine \d|panic:|runtime error|Usage:|\.go:\d|%!|file already closed`)

// checkMessage wants an error that names what, why and the next step.
func checkMessage(t testing.TB, got outcome, texts ...string) {
	t.Helper()
	checkTalk(t, got)
	message, hint := "", ""
	for line := range strings.Lines(got.stderr) {
		if text, ok := strings.CutPrefix(line, "botkube-mirror: "); ok {
			message = text
		}
		if text, ok := strings.CutPrefix(line, "hint: "); ok {
			hint += strings.TrimSpace(text)
		}
	}
	// What verify finds is its result, which has line breaks where it is wide.
	said := message + strings.Join(strings.Fields(got.stdout), " ")
	for _, text := range texts {
		if !strings.Contains(said, text) {
			t.Errorf("the message does not say %q: %q", text, message)
		}
	}
	if hint == "" {
		t.Errorf("there is no hint: %q", got.stderr)
	}
}

// checkTalk wants nothing in what is told that does not belong there.
func checkTalk(t testing.TB, got outcome) {
	t.Helper()
	told := got.stdout + got.stderr
	if found := talk.FindString(told); found != "" {
		t.Errorf("%q is told:\n%s", found, told)
	}
	for _, secret := range secrets {
		if strings.Contains(told, secret) {
			t.Errorf("a secret is told:\n%s", told)
		}
	}
}

// contentsOf returns what a file or the files below a directory hold, by path.
func contentsOf(t testing.TB, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == root:
			return nil
		case err != nil || d.IsDir():
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = sum(data)
		return err
	})
	check(t, err)
	return found
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

// plan is the list that a directory keeps of what a run may write: not part of
// what it holds.
const plan = ".botkube-mirror/superseded"

// checkKept wants an output to be what it was. To a directory, files may have
// come that no index names yet.
func checkKept(t testing.TB, output string, before map[string]string) {
	t.Helper()
	after := contentsOf(t, output)
	for path, was := range before {
		if after[path] != was && !strings.HasSuffix(path, plan) {
			t.Errorf("%s has changed", path)
		}
	}
	for path := range after {
		if _, old := before[path]; !old && (strings.HasSuffix(path, ".yaml") || path == output) {
			t.Errorf("%s was published", path)
		}
	}
}

// leftover is in the name of a file that is not finished.
var leftover = regexp.MustCompile(`tmp-|/staging/`)

// checkTidy wants no unfinished file below a directory.
func checkTidy(t testing.TB, dir string) {
	t.Helper()
	for path := range contentsOf(t, dir) {
		if leftover.MatchString(strings.TrimPrefix(path, dir)) {
			t.Errorf("%s is left", path)
		}
	}
}

// checkStore wants every blob of a store to be what its name says.
func checkStore(t testing.TB, dir string) {
	t.Helper()
	for path, digest := range contentsOf(t, filepath.Join(dir, "blobs", "sha256")) {
		if filepath.Base(path) != digest {
			t.Errorf("%s has sha256 %s", path, digest)
		}
	}
}

// checkDone wants nothing in a store that a finished run has no use for.
func checkDone(t testing.TB, store string) {
	t.Helper()
	for path := range contentsOf(t, filepath.Join(store, "ingest")) {
		if strings.HasSuffix(path, ".part") {
			t.Errorf("%s is left of a run that is done", path)
		}
	}
}

// checkTar wants every blob of a bundle to be what its name says, and some of
// them to be there.
func checkTar(t testing.TB, file string, wanted ...string) {
	t.Helper()
	f, err := os.Open(file)
	check(t, err)
	defer f.Close()
	var found []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		name, isBlob := strings.CutPrefix(h.Name, "blobs/sha256/")
		if !isBlob || name == "" {
			continue
		}
		data, err := io.ReadAll(r)
		check(t, err)
		if sum(data) != name {
			t.Errorf("%s in %s has sha256 %s", name, file, sum(data))
		}
		found = append(found, name)
	}
	for _, digest := range wanted {
		if !slices.Contains(found, digest) {
			t.Errorf("%s has no blob %s", file, digest)
		}
	}
}

// checkFile wants a file to hold something.
func checkFile(t testing.TB, path string, wanted []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, wanted) {
		t.Errorf("%s is not what it should be (%v)", path, err)
	}
}
