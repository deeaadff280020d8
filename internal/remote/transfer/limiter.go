package transfer

import (
	"context"

	"golang.org/x/time/rate"
)

// Limiter bounds how many bytes a second all connections together move that
// share it, both ways. Nil bounds nothing.
type Limiter struct {
	bucket *rate.Limiter
	// piece is what is moved at a time, so that it flows evenly.
	piece int
}

// maxPiece is as much as is read or written at a time anyhow.
const maxPiece = 64 << 10

// NewLimiter returns a limiter; 0 bounds nothing.
func NewLimiter(bytesPerSecond int64) *Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// Whoever comes late by a tenth of a second may make up for it.
	burst := int(max(min(bytesPerSecond/10, 1<<30), 1))
	return &Limiter{rate.NewLimiter(rate.Limit(bytesPerSecond), burst), min(burst, maxPiece)}
}

// Piece returns as much of p as may be moved at a time.
func (l *Limiter) Piece(p []byte) []byte {
	if l == nil {
		return p
	}
	return p[:min(len(p), l.piece)]
}

// wait waits until n bytes, of a piece at most, may move, or ctx is done.
func (l *Limiter) wait(ctx context.Context, n int) {
	_ = l.bucket.WaitN(ctx, n) // that ctx is done, the caller sees
}
