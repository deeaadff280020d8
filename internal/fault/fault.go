// Package fault is the error that a user acts on: its kind decides the exit code, and a hint is
// the next step.
package fault

import (
	"errors"
	"fmt"
)

// Kind is a class of failure. Its value is the process's exit code.
type Kind int

// The classes of failure, in the order of their exit codes.
const (
	// Unexpected is all else: a full disk, a directory that cannot be read, a defect.
	Unexpected Kind = 1
	// Usage is a command line or a configuration that cannot be carried out.
	Usage Kind = 2
	// Upstream is a server that cannot be reached, or a file it does not have.
	Upstream Kind = 3
	// Integrity is wrong content: bytes, a checksum, an index, an archive or a lock.
	Integrity Kind = 4
	// Incomplete is something absent that the agent needs.
	Incomplete Kind = 5
	// Differs is what a comparison found, where the user wants it to be a failure.
	Differs Kind = 6
	// Interrupted is a run that the user stopped: 128 plus SIGINT, as shells count.
	Interrupted Kind = 130
)

// Error is a failure of a known kind, with an optional hint.
type Error struct {
	Kind Kind
	// Hint is the next step for the user: lines, each printed on its own, or empty.
	Hint string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// New returns an error of a kind, formatted as by [fmt.Errorf].
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// WithHint returns e with the next step to take.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the kind of the outermost [Error] in err's chain, or [Unexpected].
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unexpected
}

// HintOf returns the outermost hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
