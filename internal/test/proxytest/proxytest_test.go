package proxytest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestTunnel has clients go on at the first byte of the answer. The tunnel must lose
// nothing of what they send.
func TestTunnel(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.CopyN(conn, conn, 4)
				_ = conn.Close()
			}()
		}
	}()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Tunnel(w, echo.Addr().String()) }))
	defer proxy.Close()
	for range 2000 {
		if got := through(t, proxy.Listener.Addr().String()); got != "ping" {
			t.Fatalf("of %q, %q came back", "ping", got)
		}
	}
}

func through(t *testing.T, proxy string) string {
	t.Helper()
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "CONNECT echo:1 HTTP/1.1\r\nHost: echo:1\r\n\r\n")
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "ping")
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	got, _ := io.ReadAll(in)
	return string(got)
}
