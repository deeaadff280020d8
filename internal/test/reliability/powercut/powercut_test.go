//go:build linux

package powercut

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
)

// str writes a string as strace does.
func str(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return `"` + b.String() + `"`
}

// replay replays a trace on an empty directory /d.
func replay(t *testing.T, trace string) (*Disk, error) {
	t.Helper()
	calls, err := parse(strings.NewReader(trace + "\n"))
	if err != nil {
		return nil, err
	}
	var last *Disk
	err = (&Recording{Root: "/d", dir: "/d", calls: calls}).Replay(func(_ string, d *Disk) error {
		last = d
		return nil
	})
	return last, err
}

func TestModels(t *testing.T) {
	trace := strings.Join([]string{
		`1 openat(AT_FDCWD, ` + str("/d/kept") + `, O_RDWR|O_CREAT|O_EXCL, 0600) = 3`,
		`1 write(3, ` + str("old, (1") + `, 7) = 7`,
		`1 fsync(3) = 0`,
		`1 openat(AT_FDCWD, ` + str("/d") + `, O_RDONLY|O_DIRECTORY) = 4`,
		`1 fsync(4) = 0`,
		`1 write(3, ` + str("more") + `, 4) = 4`,
		`1 openat(4, ` + str("new") + `, O_RDWR|O_CREAT <unfinished ...>`,
		`2 close(3 <unfinished ...>`,
		`1 <... openat resumed>, 0644)      = 3`,
		`2 <... close resumed>)             = 0`,
		`1 --- SIGURG {si_signo=SIGURG} ---`,
		`1 write(3, ` + str("text") + `, 4) = 4`,
		`1 renameat(4, ` + str("new") + `, AT_FDCWD, ` + str("/d/named") + `) = 0`,
		`1 unlinkat(4, ` + str("kept") + `, 0) = -1 EACCES (Permission denied)`,
		`2 ???( <unfinished ...>`,
		`2 <... ??? resumed>)               = ?`,
		`2 +++ exited with 0 +++`,
	}, "\n")
	d, err := replay(t, trace)
	if err != nil {
		t.Fatal(err)
	}
	for m, want := range map[Model]string{
		Everything: "kept=old, (1more named=text",
		Synced:     "kept=old, (1",
		Names:      "kept=old, (1 named=",
		Small:      "kept=old, (1more named=text",
		Sizes:      "kept=old, (1\x00\x00\x00\x00 named=\x00\x00\x00\x00",
	} {
		if got := show(d.After(m, nil)); got != want {
			t.Errorf("if %s survives, there is %q, want %q", m, got, want)
		}
	}
}

func show(image Image) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(image)) {
		all = append(all, p+"="+string(image[p].Data))
	}
	return strings.Join(all, " ")
}

// TestRefused has calls without which the model would be wrong.
func TestRefused(t *testing.T) {
	create := `1 openat(AT_FDCWD, ` + str("/d/f") + `, O_RDWR|O_CREAT, 0600) = 3` + "\n"
	for name, trace := range map[string]string{
		"unknown call":        `1 symlinkat(` + str("a") + `, AT_FDCWD, ` + str("/d/b") + `) = 0`,
		"unnamed call":        `1 syscall_0x1c4(0x5, 0xc000, 0x1ed, 0x100, 0, 0) = 0`,
		"unknown descriptor":  `1 write(9, ` + str("x") + `, 1) = 1`,
		"shortened string":    create + `1 write(3, ` + str("x") + `..., 2) = 2`,
		"shared memory":       create + `1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000`,
		"changed flags":       create + `1 fcntl(3, F_SETFL, O_RDWR|O_APPEND) = 0`,
		"from outside":        create + `1 openat(AT_FDCWD, ` + str("/e") + `, O_RDONLY) = 4` + "\n" + `1 copy_file_range(4, NULL, 3, NULL, 5, 0) = 5`,
		"another process":     `1 clone(child_stack=NULL, flags=SIGCHLD) = 77`,
		"what was not there":  `1 unlinkat(AT_FDCWD, ` + str("/d/absent") + `, 0) = 0`,
		"control of a file":   create + `1 ioctl(3, FICLONE, 4) = 0`,
		"unseen call":         `1 ???( <unfinished ...>` + "\n" + `1 <... write resumed>) = 1`,
		"rest without a head": `1 <... write resumed>) = 1`,
	} {
		if _, err := replay(t, trace); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func TestOutside(t *testing.T) {
	d, err := replay(t, strings.Join([]string{
		`1 openat(AT_FDCWD, ` + str("/dd/f") + `, O_RDWR|O_CREAT, 0600) = 3`,
		`1 write(3, ` + str("x") + `, 1) = 1`,
		`1 mkdirat(AT_FDCWD, ` + str("/e") + `, 0700) = 0`,
		`1 write(2, ` + str("x") + `, 1) = 1`,
	}, "\n"))
	if err != nil || len(d.After(Everything, nil)) > 0 {
		t.Errorf("%v, %v", d, err)
	}
}

func TestImage(t *testing.T) {
	want := Image{"a": {Mode: fs.ModeDir | 0o755}, "a/b": {Mode: 0o640, Data: []byte("x")}}
	dir := t.TempDir()
	if err := (Image{"other": {Mode: 0o600}}).Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	same := func(a, b File) bool { return a.Mode == b.Mode && bytes.Equal(a.Data, b.Data) }
	if err != nil || !maps.EqualFunc(got, want, same) {
		t.Errorf("%v, %v", got, err)
	}
}
