//go:build linux

package powercut

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// call is a system call. It is where it ended in the order of calls; a close is
// where it began, for from then on another thread may be given the number.
type call struct {
	line int
	name string
	args []string
	// texts are the string arguments that were decoded: a recording is replayed
	// again and again.
	texts  map[int]string
	result int64
	failed bool
}

var (
	beginning = regexp.MustCompile(`^(\d+) +(\w+)\(`)
	resuming  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	// dying is of a thread that ended, with the process, before strace could see
	// what it called.
	dying = regexp.MustCompile(`^(\d+) +\?\?\?\( <unfinished \.\.\.>$`)
	// dead is the end of such a call, which strace sees now and then.
	dead   = regexp.MustCompile(`^(\d+) +<\.\.\. \?\?\? resumed>\) += \?$`)
	remark = regexp.MustCompile(`^\d+ +(---|\+\+\+) `)
)

const unfinished = " <unfinished ...>"

// parse reads what strace -f -xx wrote.
func parse(r io.Reader) ([]call, error) {
	p := &parser{begun: map[string]string{}, dead: map[string]bool{}}
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return p.calls, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the trace: %w", err) // or it ends within a line
		}
		p.line++
		if err := p.take(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("line %d of the trace, %.200q: %w", p.line, line, err)
		}
	}
}

type parser struct {
	calls []call
	line  int
	// begun has the calls that threads are in.
	begun map[string]string
	dead  map[string]bool
}

func (p *parser) take(line string) error {
	if remark.MatchString(line) {
		return nil
	}
	if m := dying.FindStringSubmatch(line); m != nil {
		p.dead[m[1]] = true
		return nil
	}
	if thread, _, _ := strings.Cut(line, " "); p.dead[thread] {
		if dead.MatchString(line) {
			return nil
		}
		return fmt.Errorf("a thread goes on of which a call is not known")
	}
	if m := resuming.FindStringSubmatch(line); m != nil {
		head, ok := p.begun[m[1]]
		if !ok || !strings.HasPrefix(head, m[2]+"(") {
			return fmt.Errorf("a call goes on that did not begin")
		}
		delete(p.begun, m[1])
		if m[2] == "close" {
			return nil
		}
		return p.add(head + strings.TrimPrefix(line, m[0]))
	}
	m := beginning.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("it is no call")
	}
	text := strings.TrimLeft(strings.TrimPrefix(line, m[1]), " ")
	head, open := strings.CutSuffix(text, unfinished)
	if !open {
		return p.add(text)
	}
	p.begun[m[1]] = head
	if m[2] == "close" {
		return p.add(strings.TrimRight(head, " ") + ") = 0")
	}
	return nil
}

// ending is where the arguments end: no string has a parenthesis in it.
var ending = regexp.MustCompile(`\) += (-?\d+|0x[0-9a-f]+|\?)`)

func (p *parser) add(text string) error {
	name, rest, _ := strings.Cut(text, "(")
	ends := ending.FindAllStringSubmatchIndex(rest, -1)
	if ends == nil {
		return fmt.Errorf("it has no result")
	}
	end := ends[len(ends)-1]
	c := call{line: p.line, name: name, args: split(rest[:end[0]]), texts: map[int]string{}}
	if result := rest[end[2]:end[3]]; result == "?" {
		c.failed = true // the process ended in it, or it is made again
	} else {
		var err error
		if c.result, err = strconv.ParseInt(result, 0, 64); err != nil {
			c.failed = true // an address, beyond what is signed
		}
		c.failed = c.failed || c.result < 0
	}
	p.calls = append(p.calls, c)
	return nil
}

// split divides arguments at commas outside of brackets.
func split(args string) []string {
	var parts []string
	depth, from := 0, 0
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(args[from:i]))
				from = i + 1
			}
		}
	}
	if rest := strings.TrimSpace(args[from:]); rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// text returns a string argument.
func (c call) text(i int) (string, error) {
	if text, ok := c.texts[i]; ok {
		return text, nil
	}
	arg, err := c.arg(i)
	if err != nil {
		return "", err
	}
	if len(arg) < 2 || arg[0] != '"' || arg[len(arg)-1] != '"' {
		return "", fmt.Errorf("%.80q is no whole string", arg)
	}
	data, err := hex.DecodeString(strings.ReplaceAll(arg[1:len(arg)-1], `\x`, ""))
	if err == nil {
		c.texts[i] = string(data)
	}
	return string(data), err
}

func (c call) number(i int) (int64, error) {
	arg, err := c.arg(i)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(arg, 0, 64)
}

func (c call) has(i int, flag string) bool {
	arg, err := c.arg(i)
	if err != nil {
		return false
	}
	for f := range strings.SplitSeq(arg, "|") {
		if f == flag {
			return true
		}
	}
	return false
}

func (c call) arg(i int) (string, error) {
	if i >= len(c.args) {
		return "", fmt.Errorf("%s has only %d arguments", c.name, len(c.args))
	}
	return c.args[i], nil
}
