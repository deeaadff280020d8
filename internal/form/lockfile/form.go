// Package lockfile makes a lock without files usable as a mirror, to list it and to compare it.
package lockfile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Form is a lock file.
var Form = &form.Form{
	Kind:       "lock",
	Name:       "lock",
	Members:    true,
	Recognize:  recognize,
	Open:       open,
	NotServed:  holdsNothing,
	NotContent: holdsNothing,
}

func holdsNothing(p *form.Place) error {
	return fault.New(fault.Usage, "%s is a lock, which has no files, only their names", p).
		WithHint("pull the files first: botkube-mirror pull --lock %s -o bundle.tar", cmp.Or(p.Path, "FILE"))
}

func recognize(p *form.Place) form.MatchLevel {
	text, _ := textfile.Decode(p.Start)
	if p.IsFile() && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return form.FullMatch
	}
	return form.NoMatch
}

func open(_ context.Context, p *form.Place) (*form.Mirror, error) {
	if p.Stream == nil {
		l, err := lock.ReadFile(p.Path)
		return &form.Mirror{Lock: l}, err
	}
	data, err := io.ReadAll(io.LimitReader(p.Stream, lock.MaxSize+1)) // the last byte tells a larger one
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	l, err := lock.ParseNamed(data, p.String())
	return &form.Mirror{Lock: l}, err
}
