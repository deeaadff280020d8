package blob

import "context"

type watchKey struct{}

// Watched returns a context with which told is called for the bytes that [Copy] and [Moved] move, from
// any goroutine. If told is nil, nobody is told.
func Watched(ctx context.Context, told func(n int64)) context.Context {
	return context.WithValue(ctx, watchKey{}, told)
}

// Moved tells who watches a context that bytes were copied.
func Moved(ctx context.Context, n int64) {
	if told, _ := ctx.Value(watchKey{}).(func(int64)); told != nil && n > 0 {
		told(n)
	}
}

// WatchedFile returns a blob whose reading is told to who watches a context.
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
