package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// TooLongError is that there is more to read than is read.
type TooLongError struct{ Max int64 }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("it has more than the %d bytes that are read", e.Max)
}

// ReadAtMost reads to the end. More than max bytes are a [TooLongError].
func ReadAtMost(r io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(data)) > max {
		return nil, &TooLongError{max}
	}
	return data, err
}

// Reason returns an error without its path, which the message has already.
func Reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
