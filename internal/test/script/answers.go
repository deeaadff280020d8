package script

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// answers are what an upstream says instead of what it has. The first that fits
// a request and is not used up counts.
type answers struct {
	mu  sync.Mutex
	all []*answer
}

type answer struct {
	// times is how often it is given yet; -1 for ever.
	times int
	// request matches "METHOD PATH?QUERY".
	request *regexp.Regexp
	status  int
	header  [][2]string
	body    []byte
}

// answersKey is the key of a script's answers.
type answersKey struct{}

// setAnswers has every upstream of the script give the answers of a file from now
// on, and forget earlier ones: "TIMES REQUEST STATUS" (TIMES a number or *, REQUEST a
// regular expression without blanks of METHOD:PATH), followed by indented lines
// "NAME: VALUE" of header fields, "| TEXT" of the body, or "< FILE" with the body.
// In header fields, @+N is a Unix time in N seconds, and {URL} that of the upstream.
func setAnswers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: answers [FILE]")
	}
	var all []*answer
	if len(args) == 1 {
		for line := range strings.Lines(ts.ReadFile(args[0])) {
			all = readAnswer(ts, all, strings.TrimRight(line, "\n"))
		}
	}
	a := ts.Value(answersKey{}).(*answers)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = all
}

func readAnswer(ts *testscript.TestScript, all []*answer, line string) []*answer {
	text, indented := strings.CutPrefix(line, "  ")
	switch {
	case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
	case !indented:
		fields := strings.Fields(line)
		if len(fields) != 3 {
			ts.Fatalf("not TIMES REQUEST STATUS: %q", line)
		}
		a := &answer{times: -1}
		var err error
		if fields[0] != "*" {
			a.times, err = strconv.Atoi(fields[0])
			ts.Check(err)
		}
		a.request, err = regexp.Compile(fields[1])
		ts.Check(err)
		a.status, err = strconv.Atoi(fields[2])
		ts.Check(err)
		return append(all, a)
	case len(all) == 0:
		ts.Fatalf("belongs to no answer: %q", line)
	case strings.HasPrefix(text, "| "):
		last := all[len(all)-1]
		last.body = append(last.body, text[2:]+"\n"...)
	case strings.HasPrefix(text, "< "):
		data, err := os.ReadFile(ts.MkAbs(text[2:]))
		ts.Check(err)
		all[len(all)-1].body = data
	default:
		name, value, _ := strings.Cut(text, ": ")
		last := all[len(all)-1]
		last.header = append(last.header, [2]string{name, value})
	}
	return all
}

// give answers a request if there is an answer for it.
func (a *answers) give(w http.ResponseWriter, req *http.Request) bool {
	found := a.take(req.Method + ":" + req.URL.RequestURI())
	if found == nil {
		return false
	}
	for _, h := range found.header {
		w.Header().Add(h[0], expandTime(strings.ReplaceAll(h[1], "{URL}", "http://"+req.Host)))
	}
	w.WriteHeader(found.status)
	_, _ = w.Write(found.body)
	return true
}

func (a *answers) take(request string) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.all {
		if one.times != 0 && one.request.MatchString(request) {
			one.times--
			return one
		}
	}
	return nil
}

var unixTime = regexp.MustCompile(`@\+(\d+)`)

func expandTime(value string) string {
	return unixTime.ReplaceAllStringFunc(value, func(m string) string {
		n, _ := strconv.ParseInt(m[2:], 10, 64)
		return fmt.Sprint(time.Now().Unix() + n)
	})
}
