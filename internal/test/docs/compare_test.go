//go:build unix

package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// ellipsis alone on a line stands for any lines.
const ellipsis = "…"

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT\b`), "DATE"},
	{regexp.MustCompile(`\b\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?\b`), "DATE"},
	{regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d (\d\d:\d\d| \d{4})\b`), "DATE"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?[kKMGT]?i?B/s\b`), "SPEED"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?[KMGT]?i?B free\b`), "SIZE free"},
	{regexp.MustCompile(`^((?:the (?:store|output) .*|all on this disk) +(?:at least )?\d[\d.]* [KMGT]?i?B +)\d[\d.]* [KMGT]?i?B`), "${1}SIZE free"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(ns|µs|ms| ms|s| s|m| min)\b`), "DURATION"},
	{regexp.MustCompile(`^botkube-mirror (devel|\d\S*) \(go\S+`), "VERSION"},
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost):\d{5}\b`), "ADDRESS"},
}

func normal(line string) string {
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.name)
	}
	return strings.TrimRight(line, " \t\r")
}

// lines returns the lines of an output.
func lines(text string) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// match reports whether an output is what is shown.
func match(shown, actual []string) bool {
	for len(shown) > 0 {
		if shown[0] == ellipsis {
			for i := range len(actual) + 1 {
				if match(shown[1:], actual[i:]) {
					return true
				}
			}
			return false
		}
		if len(actual) == 0 || normal(shown[0]) != normal(actual[0]) {
			return false
		}
		shown, actual = shown[1:], actual[1:]
	}
	return len(actual) == 0
}

// difference shows the first line that is not as it is shown, and the output.
func difference(shown, actual []string) string {
	n := 0
	for n < len(shown) && n < len(actual) && shown[n] != ellipsis && normal(shown[n]) == normal(actual[n]) {
		n++
	}
	at := func(lines []string) string {
		if n < len(lines) {
			return lines[n]
		}
		return "(nothing)"
	}
	if n < len(shown) && shown[n] == ellipsis {
		return fmt.Sprintf("the page shows:\n%s\nthe output is:\n%s", strings.Join(shown, "\n"), strings.Join(actual, "\n"))
	}
	return fmt.Sprintf("line %d is shown as: %s\n            but is: %s\nthe output is:\n%s", n+1, at(shown), at(actual), strings.Join(actual, "\n"))
}
