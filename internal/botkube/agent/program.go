package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ProgramHeadSize is how many of a file's first bytes [IdentifyProgram] needs.
const ProgramHeadSize = 4096

// Program is what a file is to the system that shall run it.
type Program struct {
	// Format is ELF, Mach-O, PE or script, or empty for what is no program.
	Format string `json:"format,omitempty"`
	// Machines are the processors that it is for, by Go's names, as far as known; a universal
	// Mach-O has several.
	Machines []string `json:"machines,omitempty"`
	// What says what the file is that is no program.
	What string `json:"what,omitempty"`
}

const (
	formatELF    = "ELF"
	formatMachO  = "Mach-O"
	formatPE     = "PE"
	formatScript = "script"
)

// Head keeps the first bytes of what is written to it.
type Head struct{ data []byte }

func (h *Head) Write(p []byte) (int, error) {
	h.data = append(h.data, p[:min(len(p), ProgramHeadSize-len(h.data))]...)
	return len(p), nil
}

// Program tells what begins with these bytes.
func (h *Head) Program() Program { return IdentifyProgram(h.data) }

// IdentifyProgram tells what a file is by its first [ProgramHeadSize] bytes.
func IdentifyProgram(head []byte) Program {
	switch {
	case bytes.HasPrefix(head, []byte("#!")),
		// An "actually portable executable" is a script to Unix.
		bytes.HasPrefix(head, []byte("MZqFpD")), bytes.HasPrefix(head, []byte("jartsr='")):
		return Program{Format: formatScript}
	case bytes.HasPrefix(head, []byte("\x7fELF")) && len(head) >= 20:
		return readELF(head)
	case bytes.HasPrefix(head, []byte("MZ")) && len(head) >= 64:
		return readPE(head)
	}
	if p, ok := readMachO(head); ok {
		return p
	}
	return Program{What: whatIs(head)}
}

// elfMachines has e_machine of the systems that Go knows (elf.h): for 32 and 64 bits in little
// endian, then in big endian.
var elfMachines = map[uint16][4]string{
	3:   {"386"},
	8:   {"mipsle", "mips64le", "mips", "mips64"},
	20:  {2: "ppc"},
	21:  {1: "ppc64le", 3: "ppc64"},
	22:  {3: "s390x"},
	40:  {"arm", "", "arm", ""},
	62:  {"amd64", "amd64"},
	183: {"arm64", "arm64"},
	243: {"riscv", "riscv64"},
	258: {1: "loong64"},
}

func readELF(head []byte) Program {
	const class64, bigEndian, relocatable, core = 2, 2, 1, 4
	var order binary.ByteOrder = binary.LittleEndian
	variant := 0
	if head[4] == class64 {
		variant++
	}
	if head[5] == bigEndian {
		order = binary.BigEndian
		variant += 2
	}
	if kind := order.Uint16(head[16:]); kind == relocatable || kind == core {
		return Program{What: "an ELF file that is not a program"}
	}
	p := Program{Format: formatELF}
	if machine := elfMachines[order.Uint16(head[18:])][variant]; machine != "" {
		p.Machines = []string{machine}
	}
	return p
}

// readPE reads the header of Windows' programs (PE format, "Machine Types").
func readPE(head []byte) Program {
	p := Program{Format: formatPE}
	at := int64(binary.LittleEndian.Uint32(head[60:]))
	if at+6 > int64(len(head)) || !bytes.HasPrefix(head[at:], []byte("PE\x00\x00")) {
		return p
	}
	machines := map[uint16]string{0x14c: "386", 0x1c4: "arm", 0x8664: "amd64", 0xaa64: "arm64"}
	if machine := machines[binary.LittleEndian.Uint16(head[at+4:])]; machine != "" {
		p.Machines = []string{machine}
	}
	return p
}

// machOCPUs has the types of processors of Mach-O (mach/machine.h).
var machOCPUs = map[uint32]string{7: "386", 12: "arm", 1<<24 | 7: "amd64", 1<<24 | 12: "arm64", 1<<24 | 18: "ppc64", 18: "ppc"}

func readMachO(head []byte) (p Program, ok bool) {
	if len(head) < 8 {
		return Program{}, false
	}
	p.Format = formatMachO
	add := func(cpu uint32) {
		if name := machOCPUs[cpu]; name != "" {
			p.Machines = append(p.Machines, name)
		}
	}
	entry := 0
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf:
		add(binary.BigEndian.Uint32(head[4:]))
		return p, true
	case 0xcefaedfe, 0xcffaedfe:
		add(binary.LittleEndian.Uint32(head[4:]))
		return p, true
	case 0xcafebabe:
		entry = 20
	case 0xcafebabf:
		entry = 32
	default:
		return Program{}, false
	}
	// A class file of Java begins likewise; its version there is 43 or more.
	count := binary.BigEndian.Uint32(head[4:])
	if count == 0 || count > 30 {
		return Program{}, false
	}
	for at := 8; count > 0 && at+4 <= len(head); at, count = at+entry, count-1 {
		add(binary.BigEndian.Uint32(head[at:]))
	}
	slices.Sort(p.Machines)
	p.Machines = slices.Compact(p.Machines)
	return p, true
}

// marks are how files begin that are met in the place of programs.
var marks = []struct{ start, what string }{
	{"\x1f\x8b", "a gzip archive"}, {"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "an empty zip archive"},
	{"\xfd7zXZ\x00", "an xz archive"}, {"\x28\xb5\x2f\xfd", "a zstd archive"}, {"BZh", "a bzip2 archive"},
	{"\x00asm", "a WebAssembly module"}, {"\xca\xfe\xba\xbe", "a class file of Java"}, {"!<arch>\n", "a package or a library"},
	{"\xed\xab\xee\xdb", "an RPM package"}, {"version https://git-lfs.github.com/", "a Git LFS pointer"},
	{"%PDF", "a PDF document"},
}

const (
	isEmpty     = "empty"
	isPlainText = "text"
	isUnknown   = "a file of an unknown kind"
)

// HasOtherMagic reports whether a mark tells that a file is no program. A system may know how to
// run others (binfmt_misc).
func (p Program) HasOtherMagic() bool {
	return p.Format == "" && p.What != isUnknown && !p.IsPlainText()
}

// IsPlainText reports whether a file is empty or text without a mark.
func (p Program) IsPlainText() bool { return p.What == isEmpty || p.What == isPlainText }

func whatIs(head []byte) string {
	if len(head) == 0 {
		return isEmpty
	}
	for _, m := range marks {
		if bytes.HasPrefix(head, []byte(m.start)) {
			return m.what
		}
	}
	text := strings.ToLower(strings.TrimSpace(string(head[:min(len(head), 200)])))
	switch {
	case bytes.HasPrefix(head[min(len(head), 257):], []byte("ustar")):
		return "a tar archive"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"):
		return "a web page"
	case isText(head):
		return isPlainText
	}
	return isUnknown
}

// isText allows for a character that the end of the head cuts.
func isText(head []byte) bool {
	if len(head) == ProgramHeadSize {
		for cut := 1; cut < utf8.UTFMax && !utf8.Valid(head); cut++ {
			head = head[:ProgramHeadSize-cut]
		}
	}
	return utf8.Valid(head) && !bytes.ContainsRune(head, 0)
}

// String says what it is: "a program for linux/arm64", "text".
func (p Program) String() string {
	if p.Format == "" {
		return p.What
	}
	if p.Format == formatScript {
		return "a script"
	}
	system := map[string]string{formatELF: "Linux", formatMachO: "macOS", formatPE: "Windows"}[p.Format]
	if len(p.Machines) == 0 {
		return fmt.Sprintf("a program for %s (%s)", system, p.Format)
	}
	return fmt.Sprintf("a program for %s on %s (%s)", system, strings.Join(p.Machines, " and "), p.Format)
}

// Fitness says whether a program can be run.
type Fitness int

const (
	// Fits is a program that may run, as far as can be told.
	Fits Fitness = iota
	// Foreign is one that is for another system or another processor.
	Foreign
	// NoProgram is no program at all.
	NoProgram
)

// RunsOn says whether the program can be run on a platform. In doubt it [Fits]: a processor runs
// programs of its older relatives, and of some systems no format is known here.
func (p Program) RunsOn(on Platform) Fitness {
	formats := map[string]string{"linux": formatELF, "darwin": formatMachO, "windows": formatPE}
	native, known := formats[on.OS]
	switch {
	case !known || p.Format == "" && p.What == "" || p.Format == formatScript:
		return Fits
	case p.Format == "":
		return NoProgram
	case p.Format == native && (len(p.Machines) == 0 || slices.ContainsFunc(p.Machines, func(m string) bool { return runs(on, m) })):
		return Fits
	}
	return Foreign
}

// runs reports whether a platform runs programs of a machine: its own, its 32-bit relative, or
// emulated.
func runs(on Platform, machine string) bool {
	also := map[string][]string{
		"amd64": {"386"}, "arm64": {"arm"}, "mips64": {"mips"}, "mips64le": {"mipsle"}, "ppc64": {"ppc"}, "riscv64": {"riscv"},
	}
	if on.Arch == machine || slices.Contains(also[on.Arch], machine) {
		return true
	}
	return on.Arch == "arm64" && on.OS != "linux" && (machine == "amd64" || machine == "386")
}
