package adminsock_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/adminsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker remembers what it was told.
type broker struct {
	mu   sync.Mutex
	told []string // guarded by mu
}

func (b *broker) State() string { return "open" }

func (b *broker) Unseal(_ context.Context, actor string, passphrase []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, "unseal "+string(passphrase))
	if actor == "" {
		return errors.New("no actor")
	}
	if string(passphrase) != "right" {
		return errors.New("the passphrase is wrong")
	}
	return nil
}

func (b *broker) PutSecret(_ context.Context, _, name string, value []byte, expires time.Time, overlap time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, "put "+name+" "+string(value)+" "+expires.Format(time.RFC3339)+" "+overlap.String())
	return nil
}

func TestSocketIsForItsOwnerOnly(t *testing.T) {
	path := listen(t, new(broker))
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", st.Mode(), err)
	}
}

func TestListenRefuses(t *testing.T) {
	path := listen(t, new(broker))
	if s, err := adminsock.Listen(path, new(broker)); err == nil {
		t.Error("two brokers listen on one socket")
		_ = s.Close(t.Context())
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := adminsock.Listen(file, new(broker)); err == nil {
		t.Error("a file was taken for an old socket")
		_ = s.Close(t.Context())
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "x" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestListenReplacesAnOldSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), adminsock.FileName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := adminsock.Listen(path, new(broker))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is there after Close: %v", err)
	}
}

func TestClientAsks(t *testing.T) {
	b := new(broker)
	c := adminsock.NewClient(listen(t, b))
	if state, err := c.State(t.Context()); state != "open" || err != nil {
		t.Errorf("state %q, %v", state, err)
	}
	if err := c.Unseal(t.Context(), []byte("wrong")); err == nil || err.Error() != "the passphrase is wrong" {
		t.Errorf("unseal: %v, want the broker's own words", err)
	}
	if err := c.Unseal(t.Context(), []byte("right")); err != nil {
		t.Error(err)
	}
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := c.PutSecret(t.Context(), "crm-token", []byte("v\x00"), expires, time.Hour); err != nil {
		t.Error(err)
	}
	want := "unseal wrong;unseal right;put crm-token v\x00 2030-01-02T03:04:05Z 1h0m0s"
	if got := strings.Join(b.told, ";"); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestServerRefuses(t *testing.T) {
	b := new(broker)
	path := listen(t, b)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	tests := []struct{ name, method, path, body string }{
		{"another path", "GET", "/", ""},
		{"a read of a secret", "GET", "/v1/secrets/token", ""},
		{"profiles", "GET", "/debug/pprof/", ""},
		{"another method", "GET", "/v1/unseal", ""},
		{"too large a body", "PUT", "/v1/secrets/token", strings.Repeat("x", 33<<10)},
		{"no time", "PUT", "/v1/secrets/token?expires=tomorrow", "x"},
		{"no duration", "PUT", "/v1/secrets/token?overlap=long", "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, "http://broker"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				return // it hung up, which refuses too
			}
			defer res.Body.Close()
			if res.StatusCode < 400 {
				t.Errorf("status %d, want a refusal", res.StatusCode)
			}
		})
	}
	if len(b.told) != 0 {
		t.Errorf("told %q, want nothing", b.told)
	}
}

// TestAnotherUserIsNotHeard opens the socket's mode, and asks from a process of another user.
func TestAnotherUserIsNotHeard(t *testing.T) {
	if path := os.Getenv("ADMINSOCK_TEST"); path != "" {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("connect: %v", err) // not what is to be shown
		}
		defer c.Close()
		_, _ = c.Write([]byte("GET /livez HTTP/1.1\r\nHost: broker\r\n\r\n")) // may be closed by then
		if n, err := c.Read(make([]byte, 100)); n > 0 || err == nil {
			t.Errorf("read %d bytes, %v: another user is heard", n, err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	dir, err := os.MkdirTemp("", "adminsock") // t.TempDir's parents are closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self := filepath.Join(dir, "test")
	text, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(self, text, 0o755), os.Chmod(dir, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, adminsock.FileName)
	b := new(broker)
	s, err := adminsock.Listen(path, b)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestAnotherUserIsNotHeard$")
	cmd.Dir = dir
	cmd.Env = []string{"ADMINSOCK_TEST=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNobodyListens(t *testing.T) {
	c := adminsock.NewClient(filepath.Join(t.TempDir(), adminsock.FileName))
	if _, err := c.State(t.Context()); !errors.Is(err, adminsock.ErrNobody) {
		t.Errorf("error %v, want ErrNobody", err)
	}
}

func listen(t *testing.T, b *broker) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), adminsock.FileName)
	s, err := adminsock.Listen(path, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return path
}
