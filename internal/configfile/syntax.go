package configfile

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// How the YAML library words its errors.
var (
	errorInLine   = lazyregexp.New(`(?s)^line (\d+): (.*)$`)
	unknownAnchor = lazyregexp.New(`(?s)^yaml: unknown anchor '(.*)' referenced$`)
)

// syntax says why a file is no YAML, and where.
func syntax(data []byte, err error) *Problem {
	why, line := strings.TrimPrefix(textfile.YAMLError(err).Error(), "yaml: "), 0
	if found := errorInLine.FindStringSubmatch(why); found != nil {
		why = found[2]
		if line, err = strconv.Atoi(found[1]); err == nil && fromParser(why) {
			line++
		}
	} else if found := unknownAnchor.FindStringSubmatch(err.Error()); found != nil {
		line = lineAt(data, bytes.Index(data, []byte("*"+found[1])))
	} else {
		line = lineAt(data, unreadable(data))
	}
	return &Problem{Line: max(1, min(line, lineAt(data, len(data)-1))), Text: "it is no YAML: " + why}
}

// fromParser reports whether an error is from the part of the library that counts
// lines from 0 in its errors (yaml.v3 v3.0.1, decode.go, parser.fail).
func fromParser(why string) bool {
	return strings.HasPrefix(why, "did not find expected") || why == "found undefined tag handle"
}

// lineAt returns the line, from 1, of a byte.
func lineAt(data []byte, at int) int { return 1 + bytes.Count(data[:max(0, at)], []byte("\n")) }

// unreadable returns where the first character is that YAML does not have, or -1.
func unreadable(data []byte) int {
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 || unicode.IsControl(c) && !strings.ContainsRune("\t\n\r", c) {
			return i
		}
		i += n
	}
	return -1
}
