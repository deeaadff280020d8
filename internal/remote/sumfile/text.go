package sumfile

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// The forms of lines.
var (
	// lineEnd is that of any system. Windows has programs that write two carriage returns.
	lineEnd = lazyregexp.New(`\r*\n|\r`)
	// digestLike is as long as a digest.
	digestLike = lazyregexp.New(`(?:^|[^0-9A-Za-z])(?:` + digitForms + `)(?:[^0-9A-Za-z]|$)`)
	// tagged is what BSD's tools, coreutils with --tag and openssl dgst write:
	// SHA256 (NAME) = HEX, SHA2-256(NAME)= HEX.
	tagged = lazyregexp.New(`^(\\?)([A-Za-z0-9/_-]+) ?\((.*)\) ?= ?([0-9A-Fa-f]+)$`)
	// field is a line of PowerShell's Format-List, and of much else.
	field = lazyregexp.New(`^(.*?\S)\s*[:=]\s+(\S.*)$`)
	// integrity is the form of the W3C's Subresource Integrity.
	integrity = lazyregexp.New(`^(` + strings.Join(names, "|") + `)-([A-Za-z0-9+/]+={0,2})$`)
	// csvField is a field in quotes.
	csvField = lazyregexp.New(`"((?:[^"]|"")*)"`)
)

// textReader goes through the lines of a checksum file.
type textReader struct {
	*contents
	pending
}

// pending is what the lines before say of a digest that follows, or goes on.
type pending struct {
	algorithm, digits, name string
	exact                   bool
	// last points to where a line that goes on belongs; nil for nowhere.
	last *string
}

// maxDigits bounds the digits of a digest that is gathered from several lines.
const maxDigits = 256

func (c *contents) readText(text string) {
	r := &textReader{contents: c}
	for line := range strings.Lines(lineEnd.ReplaceAllString(text, "\n")) {
		r.line(strings.TrimRight(line, " \t\n"))
	}
	r.flush()
	r.unread = len(r.sums) == 0 && digestLike.MatchString(text)
}

func (r *textReader) flush() {
	if p := r.pending; p.digits != "" {
		r.add(p.algorithm, p.digits, p.name, p.exact)
	}
	r.pending = pending{}
}

func (r *textReader) line(line string) {
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "":
		// PowerShell has a blank line between records.
		r.flush()
	case trimmed[0] == '#' || trimmed[0] == ';':
	case r.continued(line, trimmed):
	case r.tagged(trimmed), r.digestFirst(trimmed), r.quoted(trimmed), r.table(trimmed), r.headed(trimmed), r.field(trimmed), r.digestLast(trimmed):
	}
}

// continued takes a line that goes on with the one before: digits in groups, as
// gpg and old versions of certutil write them, or a value that PowerShell broke.
func (r *textReader) continued(line, trimmed string) bool {
	indented := line[0] == ' ' || line[0] == '\t'
	if digits, ok := groups(trimmed); ok && r.expects(digits, indented, digits != trimmed) {
		if len(r.digits)+len(digits) <= maxDigits {
			r.digits += digits
		}
		r.last = &r.digits
		return true
	}
	if !indented || r.last != &r.name || field.MatchString(trimmed) {
		return false
	}
	if len(r.name) <= 4096 {
		r.name += trimmed
	}
	return true
}

// expects reports whether digits on a line of their own belong to what the lines
// before say, or begin a digest that may go on: in groups, or broken off.
func (r *textReader) expects(digits string, indented, grouped bool) bool {
	if r.digits != "" {
		return indented && r.last == &r.digits
	}
	return r.algorithm != "" || len(digits) >= 32 && (indented || grouped || len(digits)%32 != 0)
}

// groups joins hexadecimal digits in groups of two, four or eight, or all together.
func groups(line string) (digits string, ok bool) {
	if len(line) > maxDigits*2 {
		return "", false
	}
	all := strings.Fields(line)
	for _, group := range all {
		if !isHex(group) || len(group)%2 != 0 || len(all) > 1 && len(group) > 8 {
			return "", false
		}
		digits += group
	}
	return digits, digits != ""
}

// tagged reads ALGORITHM (NAME) = HEX.
func (r *textReader) tagged(line string) bool {
	m := tagged.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	r.flush()
	r.add(cmp.Or(algorithm(m[2]), "other"), m[4], tidy(m[3], m[1] != ""), false)
	return true
}

// digestFirst reads HEX NAME, as sha256sum and shasum write it, and HEX alone.
func (r *textReader) digestFirst(line string) bool {
	token, rest, _ := strings.Cut(strings.Replace(line, "\t", " ", 1), " ")
	bare, escaped := strings.CutPrefix(token, `\`)
	kind, digits, ok := digest(bare)
	if !ok {
		return false
	}
	r.flush()
	name := strings.TrimSpace(rest)
	// The marks of binary, text, universal and bits (shasum(1)).
	if name != "" && strings.ContainsRune("*^?", rune(name[0])) {
		name = name[1:]
	}
	r.add(kind, digits, tidy(name, escaped), false)
	return true
}

// digest reads HEX, ALGORITHM:HEX, or ALGORITHM-BASE64.
func digest(token string) (kind, digits string, ok bool) {
	if isHex(token) && len(token) >= 32 {
		return "", token, true
	}
	if name, rest, found := strings.Cut(token, ":"); found && isHex(rest) && algorithm(name) != "" {
		return algorithm(name), rest, true
	}
	if m := integrity.FindStringSubmatch(token); m != nil {
		raw, err := base64.StdEncoding.DecodeString(m[2])
		return m[1], hex.EncodeToString(raw), err == nil
	}
	return "", "", false
}

// table reads a row of PowerShell's: ALGORITHM HEX PATH, which a narrow window cuts.
func (r *textReader) table(line string) bool {
	fields := strings.Fields(line)
	if len(fields) < 2 || algorithm(fields[0]) == "" {
		return false
	}
	digits, cut := strings.CutSuffix(strings.TrimSuffix(fields[1], "..."), "…")
	if !isHex(digits) || len(digits) < 32 {
		return false
	}
	r.flush()
	if cut || digits != fields[1] {
		r.broken = true
		return true
	}
	_, name, _ := strings.Cut(line, fields[1])
	name = strings.TrimSpace(name)
	if strings.HasSuffix(name, "...") || strings.HasSuffix(name, "…") {
		name = ""
	}
	r.add(algorithm(fields[0]), digits, name, false)
	return true
}

// quoted reads a row of PowerShell's Export-Csv.
func (r *textReader) quoted(line string) bool {
	if line[0] != '"' {
		return false
	}
	kind, digits, name := "", "", ""
	for _, m := range csvField.FindAllStringSubmatch(line, 8) {
		switch value := strings.ReplaceAll(m[1], `""`, `"`); {
		case digits == "" && isHex(value) && len(value) >= 32:
			digits = value
		case kind == "" && algorithm(value) != "":
			kind = algorithm(value)
		default:
			name = value
		}
	}
	if digits == "" {
		return false
	}
	r.flush()
	r.add(kind, digits, name, false)
	return true
}

// headed reads what certutil writes above a digest, in the language of Windows:
// SHA256 hash of NAME:, SHA256-Hash von NAME:.
func (r *textReader) headed(line string) bool {
	head, ends := strings.CutSuffix(line, ":")
	words := strings.FieldsFunc(head, func(c rune) bool { return c == ' ' || c == '-' })
	i := slices.IndexFunc(words, func(w string) bool { return algorithm(w) != "" })
	if !ends || i < 0 {
		return false
	}
	r.flush()
	r.algorithm, r.name = algorithm(words[i]), lastName(head)
	return true
}

func lastName(sentence string) string {
	words := strings.Fields(sentence)
	for i, w := range words {
		if strings.ContainsAny(w, `\/`) {
			return strings.Join(words[i:], " ")
		}
	}
	return words[len(words)-1]
}

// field reads a line of a name and a value: of PowerShell's list, an algorithm
// with its digest, or a file with its digest, as gpg --print-md writes it.
func (r *textReader) field(line string) bool {
	m := field.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	key, value := m[1], m[2]
	switch strings.ToLower(key) {
	case "algorithm":
		r.flush()
		r.algorithm = algorithm(value)
		return true
	case "hash":
		if !isHex(value) {
			return false // the head of a signed text
		}
		r.digits, r.last = value, &r.digits
		return true
	case "path":
		r.name, r.last = value, &r.name
		return true
	}
	return r.keyed(key, value)
}

// keyed reads ALGORITHM: HEX NAME, NAME: HEX and NAME: ALGORITHM = HEX.
func (r *textReader) keyed(key, value string) bool {
	name, exact := key, true
	kind := algorithm(key)
	if kind != "" {
		name, exact = "", false
	} else if m := field.FindStringSubmatch(value); m != nil && algorithm(m[1]) != "" {
		kind, value = algorithm(m[1]), m[2]
	}
	digits, ok := groups(value)
	if !ok && !exact {
		first, rest, _ := strings.Cut(value, " ")
		digits, name, ok = first, tidy(strings.TrimPrefix(strings.TrimSpace(rest), "*"), false), isHex(first)
	}
	if !ok || len(digits) < 16 {
		return false
	}
	r.flush()
	r.pending = pending{algorithm: kind, digits: digits, name: name, exact: exact, last: &r.digits}
	return true
}

// digestLast reads NAME HEX.
func (r *textReader) digestLast(line string) bool {
	i := strings.LastIndexAny(line, " \t")
	if i < 0 {
		return false
	}
	kind, digits, ok := digest(line[i+1:])
	if !ok {
		return false
	}
	r.flush()
	r.add(kind, digits, tidy(strings.TrimSpace(line[:i]), false), true)
	return true
}

// escapes are those of a line that begins with a backslash (coreutils, src/digest.c).
var escapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")

// tidy returns a name as it is compared. What stands for standard input is none.
func tidy(name string, escaped bool) string {
	if escaped {
		return escapes.Replace(name)
	}
	if name == "-" || name == "stdin" || name == "(stdin)" {
		return ""
	}
	return name
}
