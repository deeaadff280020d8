package script

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func snapshot(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: snapshot DIR FILE")
	}
	times := func(fi fs.FileInfo) string { return fi.ModTime().Format(time.RFC3339Nano) + " " }
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(listing(ts, args[0], times)), 0o644))
}

// listing lists paths, modes, digests and what more is wanted of a directory.
func listing(ts *testscript.TestScript, dir string, more func(fs.FileInfo) string) string {
	root := ts.MkAbs(dir)
	var out strings.Builder
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		var sum [sha256.Size]byte
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(data)
		}
		rel, err := filepath.Rel(root, path)
		fmt.Fprintf(&out, "%s %s %s%x\n", rel, fi.Mode(), more(fi), sum)
		return err
	}))
	return out.String()
}

func same(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same DIR DIR")
	}
	none := func(fs.FileInfo) string { return "" }
	if a, b := listing(ts, args[0], none), listing(ts, args[1], none); a != b {
		ts.Fatalf("%s is\n%s\n%s is\n%s", args[0], a, args[1], b)
	}
}

func compareLines(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: cmpline FILE FILE")
	}
	_, a, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	_, b, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	if a == "" || a != b {
		ts.Fatalf("%s is\n%s\n%s is\n%s", args[0], a, args[1], b)
	}
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		data, err := os.ReadFile(path)
		ts.Check(err)
		data[len(data)-1] ^= 1
		ts.Check(os.WriteFile(path, data, 0o644))
	}
}

// forge alters a file of a cache directory, and then its index and SHA256SUMS, so
// that they fit.
func forge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: forge DIR INDEX FILE")
	}
	at := func(name string) string { return filepath.Join(ts.MkAbs(args[0]), filepath.FromSlash(name)) }
	read := func(name string) []byte {
		data, err := os.ReadFile(at(name))
		ts.Check(err)
		return data
	}
	sum := func(name string) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(read(name))) }
	file, index, sums := args[2], args[1], ".botkube-mirror/SHA256SUMS"
	replace := func(in string, old, to []byte) {
		ts.Check(os.WriteFile(at(in), bytes.ReplaceAll(read(in), old, to), 0o644))
	}
	oldFile, oldIndex := sum(file), sum(index)
	data := read(file)
	data[len(data)-1] ^= 1
	ts.Check(os.WriteFile(at(file), data, 0o755))
	replace(index, oldFile, sum(file))
	replace(sums, oldFile, sum(file))
	replace(sums, oldIndex, sum(index))
}

func flipBlobs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: flip-blobs STORE SIZE...")
	}
	blobs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "blobs", "sha256", "*"))
	ts.Check(err)
	for _, size := range args[1:] {
		found := false
		for _, blob := range blobs {
			if fi, err := os.Stat(blob); err == nil && strconv.FormatInt(fi.Size(), 10) == size {
				flip(ts, false, []string{blob})
				found = true
			}
		}
		if !found {
			ts.Fatalf("no blob has %s bytes", size)
		}
	}
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		data, _ := os.ReadFile(ts.MkAbs(args[0]))
		if pattern.Match(data) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no match for %s:\n%s", args[0], args[1], data)
		}
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE PERM")
	}
	fi, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", fi.Mode().Perm()); (got == args[1]) == neg {
		ts.Fatalf("mode of %s is %s", args[0], got)
	}
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: expand FROM TO")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// find sets a variable to what the group of a pattern matches in a file.
func find(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: find FILE PATTERN NAME")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(args[0]))
	if len(found) != 2 {
		ts.Fatalf("%s does not have %s", args[0], args[1])
	}
	ts.Setenv(args[2], found[1])
}

// writeStatic writes the header of a program that needs no libraries. Package image
// tries real ones.
func writeStatic(ts *testscript.TestScript, _ bool, args []string) {
	machines := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}
	if len(args) != 2 || machines[args[1]] == 0 {
		ts.Fatalf("usage: static-program FILE OS/ARCH")
	}
	header := elf.Header64{
		Ident:   [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machines[args[1]]), Version: uint32(elf.EV_CURRENT),
		Entry: 0x10000, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	var program bytes.Buffer
	ts.Check(binary.Write(&program, binary.LittleEndian, header))
	ts.Check(binary.Write(&program, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: 0x10000, Filesz: 120, Memsz: 120}))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), program.Bytes(), 0o755))
}
