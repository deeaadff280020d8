package agent_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

func elfHead(class, data byte, kind, machine uint16) []byte {
	head := append([]byte("\x7fELF"), class, data, 1, 0)
	head = append(head, make([]byte, 8)...)
	var order binary.AppendByteOrder = binary.LittleEndian
	if data == 2 {
		order = binary.BigEndian
	}
	head = order.AppendUint16(order.AppendUint16(head, kind), machine)
	return append(head, make([]byte, 44)...)
}

func peHead(machine uint16) []byte {
	head := append([]byte("MZ"), make([]byte, 126)...)
	head[60] = 128
	return binary.LittleEndian.AppendUint16(append(head, "PE\x00\x00"...), machine)
}

func machO(cpu uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte("\xcf\xfa\xed\xfe"), cpu)
}

func fatMachO(cpus ...uint32) []byte {
	head := binary.BigEndian.AppendUint32([]byte("\xca\xfe\xba\xbe"), uint32(len(cpus)))
	for _, cpu := range cpus {
		head = append(binary.BigEndian.AppendUint32(head, cpu), make([]byte, 16)...)
	}
	return head
}

// textOf returns the head of a text of which the last bytes are the first of some.
func textOf(last string, bytes int) []byte {
	return []byte(strings.Repeat("a", agent.ProgramHeadSize-bytes) + last[:bytes])
}

func TestProgram(t *testing.T) {
	t.Parallel()
	const macAMD64, macARM64 = 1<<24 | 7, 1<<24 | 12
	for _, test := range []struct {
		name string
		head []byte
		what string
		// fits, foreign and none are platforms.
		fits, foreign, none string
	}{
		{"linux/amd64", elfHead(2, 1, 2, 62), "a program for Linux on amd64 (ELF)", "linux/amd64", "linux/arm64 linux/386 darwin/amd64 windows/amd64", ""},
		{"position independent", elfHead(2, 1, 3, 62), "a program for Linux on amd64 (ELF)", "linux/amd64", "linux/s390x", ""},
		{"linux/386", elfHead(1, 1, 2, 3), "a program for Linux on 386 (ELF)", "linux/386 linux/amd64", "linux/arm64", ""},
		{"linux/arm64", elfHead(2, 1, 2, 183), "a program for Linux on arm64 (ELF)", "linux/arm64", "linux/amd64 linux/arm", ""},
		{"linux/arm", elfHead(1, 1, 2, 40), "a program for Linux on arm (ELF)", "linux/arm linux/arm64", "linux/amd64", ""},
		{"linux/ppc64le", elfHead(2, 1, 2, 21), "a program for Linux on ppc64le (ELF)", "linux/ppc64le", "linux/ppc64", ""},
		{"linux/s390x", elfHead(2, 2, 2, 22), "a program for Linux on s390x (ELF)", "linux/s390x", "linux/amd64", ""},
		{"linux/riscv64", elfHead(2, 1, 2, 243), "a program for Linux on riscv64 (ELF)", "linux/riscv64", "linux/amd64", ""},
		{"an unknown machine", elfHead(2, 1, 2, 9999), "a program for Linux (ELF)", "linux/amd64 plan9/mips", "darwin/arm64", ""},
		{"an object file", elfHead(2, 1, 1, 62), "an ELF file that is not a program", "", "", "linux/amd64"},
		{"darwin/arm64", machO(macARM64), "a program for macOS on arm64 (Mach-O)", "darwin/arm64", "darwin/amd64 linux/arm64", ""},
		{"darwin/amd64", machO(macAMD64), "a program for macOS on amd64 (Mach-O)", "darwin/amd64 darwin/arm64", "linux/amd64", ""},
		{"universal", fatMachO(macAMD64, macARM64), "a program for macOS on amd64 and arm64 (Mach-O)", "darwin/amd64 darwin/arm64", "linux/amd64", ""},
		{"windows/amd64", peHead(0x8664), "a program for Windows on amd64 (PE)", "windows/amd64 windows/arm64", "windows/386 linux/amd64", ""},
		{"windows/arm64", peHead(0xaa64), "a program for Windows on arm64 (PE)", "windows/arm64", "windows/amd64", ""},
		{"DOS", append([]byte("MZ"), make([]byte, 70)...), "a program for Windows (PE)", "windows/amd64", "linux/amd64", ""},
		{"a script", []byte("#!/bin/sh\n"), "a script", "linux/amd64 darwin/arm64 windows/amd64", "", ""},
		{"a portable executable", append([]byte("MZqFpD='\n"), make([]byte, 100)...), "a script", "linux/amd64", "", ""},
		{"text", []byte("Apache License\n"), "text", "freebsd/amd64", "", "linux/amd64 darwin/amd64 windows/amd64"},
		{"text that is cut", []byte(strings.Repeat("ä€", 2000))[:agent.ProgramHeadSize], "text", "", "", "linux/amd64"},
		{"a class file", []byte("\xca\xfe\xba\xbe\x00\x00\x00\x34...."), "a class file of Java", "", "", "linux/amd64"},
		{"nothing", nil, "empty", "", "", "linux/amd64"},
		{"gzip", []byte("\x1f\x8b\x08"), "a gzip archive", "", "", "linux/amd64"},
		{"a web page", []byte("\n <!DOCTYPE HTML><title>x"), "a web page", "", "", "linux/amd64"},
		{"tar", append(bytes.Repeat([]byte{0}, 257), "ustar\x0000"...), "a tar archive", "", "", "linux/amd64"},
		{"noise", []byte("\x00\x01\x02\xff"), "a file of an unknown kind", "", "", "linux/amd64"},
		{"as much of an ELF as is read", elfHead(2, 1, 2, 62)[:20], "a program for Linux on amd64 (ELF)", "linux/amd64", "", ""},
		{"less of an ELF", elfHead(2, 1, 2, 62)[:19], "a file of an unknown kind", "", "", ""},
		{"a core dump", elfHead(2, 1, 4, 62), "an ELF file that is not a program", "", "", "linux/amd64"},
		{"linux/mips", elfHead(1, 2, 2, 8), "a program for Linux on mips (ELF)", "linux/mips linux/mips64", "linux/mipsle", ""},
		{"linux/mips64", elfHead(2, 2, 2, 8), "a program for Linux on mips64 (ELF)", "linux/mips64", "linux/mips", ""},
		{"as much of a PE as is read", peHead(0x8664)[:134], "a program for Windows on amd64 (PE)", "windows/amd64", "windows/386", ""},
		{"a PE without its machine", peHead(0x8664)[:133], "a program for Windows (PE)", "windows/amd64 windows/386", "", ""},
		{"a PE that points far", append(append([]byte("MZ"), make([]byte, 58)...), 255, 255, 255, 255), "a program for Windows (PE)", "windows/amd64", "", ""},
		{"no PE where it points", append([]byte("MZ"), make([]byte, 62)...), "a program for Windows (PE)", "windows/amd64", "", ""},
		{"less of a DOS program", append([]byte("MZ"), make([]byte, 61)...), "a file of an unknown kind", "", "", ""},
		{"windows/386", peHead(0x14c), "a program for Windows on 386 (PE)", "windows/386 windows/amd64 windows/arm64", "", ""},
		{"less of a Mach-O", machO(macARM64)[:7], "a file of an unknown kind", "", "", ""},
		{"Mach-O of nothing", fatMachO(), "a class file of Java", "", "", ""},
		{"Mach-O of thirty", fatMachO(make([]uint32, 30)...), "a program for macOS (Mach-O)", "", "", ""},
		{"a class file of version 31", fatMachO(make([]uint32, 31)...), "a class file of Java", "", "", ""},
		{"more than Mach-O counts", append(fatMachO(macAMD64), fatMachO(macARM64)[8:]...), "a program for macOS on amd64 (Mach-O)", "", "", ""},
		{"Mach-O cut behind a processor", fatMachO(macAMD64, macARM64)[:32], "a program for macOS on amd64 and arm64 (Mach-O)", "", "", ""},
		{"Mach-O cut in a processor", fatMachO(macAMD64, macARM64)[:31], "a program for macOS on amd64 (Mach-O)", "", "", ""},
		{"a web page after blanks", []byte(strings.Repeat(" ", 195) + "<html"), "a web page", "", "", "linux/amd64"},
		{"a web page far down", []byte(strings.Repeat(" ", 196) + "<html"), "text", "", "", "linux/amd64"},
		{"a tar that ends with its mark", append(bytes.Repeat([]byte("a"), 257), "ustar"...), "a tar archive", "", "", ""},
		{"text with a zero", []byte("a\x00b"), "a file of an unknown kind", "", "", ""},
		{"text that is cut early", []byte("abc\xe2\x82"), "a file of an unknown kind", "", "", ""},
		{"text cut after one byte of two", textOf("é", 1), "text", "", "", ""},
		{"text cut after two bytes of three", textOf("€", 2), "text", "", "", ""},
		{"text cut after three bytes of four", textOf("😀", 3), "text", "", "", ""},
		{"a text that is no text at its end", textOf("\xff\xff\xff\xff", 4), "a file of an unknown kind", "", "", ""},
		{"the start of an ELF", []byte("\x7fELF"), "text", "", "", "linux/amd64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := agent.IdentifyProgram(test.head)
			if p.String() != test.what {
				t.Errorf("it is %s", p)
			}
			for fitness, platforms := range map[agent.Fitness]string{agent.Fits: test.fits, agent.Foreign: test.foreign, agent.NoProgram: test.none} {
				for platform := range strings.FieldsSeq(platforms) {
					on, err := agent.ParsePlatform(platform)
					if err != nil {
						t.Fatal(err)
					}
					if got := p.RunsOn(on); got != fitness {
						t.Errorf("on %s: %d, not %d", platform, got, fitness)
					}
				}
			}
		})
	}
	if (agent.Program{}).RunsOn(agent.Platform{OS: "linux", Arch: "amd64"}) != agent.Fits {
		t.Error("what is not known is held against a file")
	}
}

// TestHead writes a program in pieces, and more than its head.
func TestHead(t *testing.T) {
	t.Parallel()
	var head agent.Head
	whole := append(elfHead(2, 1, 2, 62), make([]byte, 2*agent.ProgramHeadSize)...)
	for _, piece := range [][]byte{whole[:10], whole[10:30], whole[30:5000], whole[5000:]} {
		if n, err := head.Write(piece); n != len(piece) || err != nil {
			t.Errorf("%d of %d, %v", n, len(piece), err)
		}
	}
	if got := head.Program().String(); got != "a program for Linux on amd64 (ELF)" {
		t.Error(got)
	}
	// The head of a text ends within its last character, whatever follows.
	var text agent.Head
	for _, piece := range []string{strings.Repeat("a", agent.ProgramHeadSize-1), "é", "\x00"} {
		if _, err := text.Write([]byte(piece)); err != nil {
			t.Error(err)
		}
	}
	if got := text.Program().String(); got != "text" {
		t.Error(got)
	}
}

func TestOtherMagic(t *testing.T) {
	t.Parallel()
	for head, want := range map[string][2]bool{
		"": {false, true}, "text": {false, true}, "\x00\x01": {false, false}, "\x1f\x8b": {true, false}, "#!": {false, false},
	} {
		p := agent.IdentifyProgram([]byte(head))
		if got := [2]bool{p.HasOtherMagic(), p.IsPlainText()}; got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// TestOwnProgram reads the program of the test itself.
func TestOwnProgram(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	p := agent.IdentifyProgram(data[:agent.ProgramHeadSize])
	if p.Format == "" || p.RunsOn(agent.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}) != agent.Fits {
		t.Errorf("it is %s", p)
	}
}

func FuzzProgram(f *testing.F) {
	for _, seed := range [][]byte{nil, elfHead(2, 1, 2, 62), peHead(0x8664), machO(7), fatMachO(7, 12), []byte("#!"), []byte("\xca\xfe\xba\xbf\xff\xff\xff\xff")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		p := agent.IdentifyProgram(head)
		if p.String() == "" {
			t.Error("it is nothing")
		}
		p.RunsOn(agent.Platform{OS: "linux", Arch: "amd64"})
	})
}
