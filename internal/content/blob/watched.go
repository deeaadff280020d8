package blob

import "context"

type watchKey struct{}

// Watched returns a context for [Copy] and [Moved]. They call told, from any goroutine, with the
// bytes that they move. With nil, they call nothing.
func Watched(ctx context.Context, told func(n int64)) context.Context {
	return context.WithValue(ctx, watchKey{}, told)
}

// Moved reports copied bytes to the function of [Watched].
func Moved(ctx context.Context, n int64) {
	if told, _ := ctx.Value(watchKey{}).(func(int64)); told != nil && n > 0 {
		told(n)
	}
}

// WatchedFile returns a blob that reports to the function of [Watched] what is read of it.
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
