package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TooLongError is the error of content with more than Max bytes.
type TooLongError struct{ Max int64 }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("it has more than the maximum of %d bytes", e.Max)
}

// ReadAtMost reads to the end. If there are more than max bytes, the error is a [TooLongError].
func ReadAtMost(r io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(data)) > max {
		return nil, &TooLongError{max}
	}
	return data, err
}

// ReadFile reads a file or a pipe of at most max bytes. Errors do not have the path.
func ReadFile(name string, max int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, Reason(err)
	}
	defer f.Close()
	data, err := ReadAtMost(f, max)
	return data, Reason(err)
}

// ReadRegular is [ReadFile] for regular files only. The error of another kind of file, or of one
// that is too large, has kind [fault.Integrity].
func ReadRegular(name string, max int64) ([]byte, error) {
	f, _, err := Open(name)
	if err != nil {
		return nil, Reason(err)
	}
	defer f.Close()
	data, err := ReadAtMost(f, max)
	if _, tooLong := errors.AsType[*TooLongError](err); tooLong {
		return nil, fault.New(fault.Integrity, "%w", err)
	}
	return data, Reason(err)
}

// Reason returns an error without its path, for messages that already have the path.
func Reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Await calls read, which may block forever, as on a pipe without a writer, and gives up once ctx
// is done. The read then goes on in the background, and its result is dropped.
func Await[T any](ctx context.Context, read func() (T, error)) (value T, err error) {
	if ctx.Err() != nil {
		return value, context.Cause(ctx)
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		return value, context.Cause(ctx)
	case r := <-done:
		return r.value, r.err
	}
}
