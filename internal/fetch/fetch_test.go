package fetch

import (
	"testing"
	"net/http"
	"net/http/httptest"
	"bytes"
	"time"
	"github.com/botkube-mirror/botkube-mirror/internal/store"
)

func TestSmoke(t *testing.T) {
	data := bytes.Repeat([]byte("abc"), 1<<20)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Unix(1e9,0), bytes.NewReader(data))
	}))
	defer srv.Close()
	s, err := store.Open(t.TempDir())
	if err != nil { t.Fatal(err) }
	c := New(Config{Store: s})
	for range 2 {
		r, err := c.Blob(t.Context(), Request{URL: srv.URL+"/x"}, Observer{})
		t.Logf("%+v %v", r, err)
	}
	_, err = c.Blob(t.Context(), Request{URL: "git::https://x/y"}, Observer{})
	t.Log(err)
}
