package store

import (
	"context"
	"testing"
)

func TestPartial(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := s.Partial("key"); n != 0 {
		t.Errorf("of nothing, %d bytes are there", n)
	}
	in, err := s.Ingest(context.Background(), "key", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("four")); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.Partial("key"); n != 4 {
		t.Errorf("%d bytes are there, not 4", n)
	}
}
