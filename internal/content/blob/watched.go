package blob

import "context"

type watchKey struct{}

// Watched returns a context with a function that [Copy] and [Moved] call with the number of bytes
// that were copied. They may call it on any goroutine. It may be nil.
func Watched(ctx context.Context, progress func(n int64)) context.Context {
	return context.WithValue(ctx, watchKey{}, progress)
}

// Moved calls the function of [Watched] with a number of copied bytes.
func Moved(ctx context.Context, n int64) {
	if progress, _ := ctx.Value(watchKey{}).(func(int64)); progress != nil && n > 0 {
		progress(n)
	}
}

// WatchedFile returns f, and calls the function of [Watched] for every read.
func WatchedFile(ctx context.Context, f File) File { return watchedFile{f, ctx} }

type watchedFile struct {
	File
	ctx context.Context
}

func (f watchedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	Moved(f.ctx, int64(n))
	return n, err
}

func (f watchedFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	Moved(f.ctx, int64(n))
	return n, err
}
