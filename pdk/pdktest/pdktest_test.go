package pdktest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
)

type getInput struct {
	ID string `json:"id"`
}

type answer struct {
	Name string `json:"name"`
}

// lookUp is a connector's function without a fault; the others below have one each.
func lookUp(h *pdk.Host, in getInput) (*answer, error) {
	path, err := pdk.Path("/x/{id}", in.ID)
	if err != nil {
		return nil, err
	}
	reply, err := h.Do(pdk.Request{Backend: "crm", Path: path})
	if err != nil {
		return nil, err
	}
	out := new(answer)
	if err := reply.JSON(out); err != nil {
		return nil, err
	}
	if out.Name == "" {
		return nil, pdk.Errorf(pdk.Permanent, "the back end's answer has no name")
	}
	return out, nil
}

const exchange = `A case.
-- call --
get
{"id": "1"}
-- request --
GET crm /x/1
-- reply --
200
content-type: application/json

{"name": "Ann", "tags": ["a"]}
-- response --
{"name": "Ann"}
`

func read(t *testing.T, text string) *pdktest.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "get.txtar"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := pdktest.ReadFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

func TestCheckFinds(t *testing.T) {
	count := 0
	tests := []struct {
		name string
		fn   func(h *pdk.Host, in getInput) (*answer, error)
		want string // in a fault; "" for none
	}{
		{"a status that is ignored", func(h *pdk.Host, in getInput) (*answer, error) {
			_, _ = h.Do(pdk.Request{Backend: "crm", Path: "/x/1"})
			return &answer{"Ann"}, nil
		}, "want an error"},
		{"upstream text in an error", func(h *pdk.Host, in getInput) (*answer, error) {
			reply, err := h.Do(pdk.Request{Backend: "crm", Path: "/x/1"})
			if err == nil && reply.Status != 200 {
				err = pdk.Errorf(pdk.CodeOf(reply.Err()), "they say %s", reply.Body)
			}
			return &answer{"Ann"}, err
		}, "repeats what it was sent"},
		{"a panic on garbage", func(h *pdk.Host, in getInput) (*answer, error) {
			reply, err := h.Do(pdk.Request{Backend: "crm", Path: "/x/1"})
			if err != nil {
				return nil, err
			}
			if err := reply.Err(); err != nil {
				return nil, err
			}
			var v map[string]any
			if err := json.Unmarshal(reply.Body, &v); err != nil {
				return nil, err
			}
			return &answer{v["name"].(string)}, nil
		}, "the plugin panicked in"},
		{"an empty answer taken for good", func(h *pdk.Host, in getInput) (*answer, error) {
			out, err := lookUp(h, in)
			if err != nil && strings.Contains(err.Error(), "no name") {
				return &answer{}, nil
			}
			return out, err
		}, `body "{}": it succeeded`},
		{"a wrong word", func(h *pdk.Host, in getInput) (*answer, error) {
			out, err := lookUp(h, in)
			if err != nil {
				err = pdk.Errorf(pdk.Transient, "try again")
			}
			return out, err
		}, "want auth"},
		{"another answer each time", func(h *pdk.Host, in getInput) (*answer, error) {
			out, err := lookUp(h, in)
			if err == nil {
				count++
				out.Name = fmt.Sprint(count)
			}
			return out, err
		}, "two equal calls gave"},
		{"the input in an error", func(h *pdk.Host, in getInput) (*answer, error) {
			if in.ID != "1" {
				return nil, pdk.Errorf(pdk.Permanent, "id %s is bad", in.ID)
			}
			return lookUp(h, in)
		}, "repeats what it was sent"},
		{"nothing in a good function", lookUp, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults := strings.Join(pdktest.Check(read(t, exchange), pdk.Handler(tt.fn)), "\n")
			if !strings.Contains(faults, tt.want) || tt.want == "" && faults != "" {
				t.Errorf("got the faults\n%s\nwant %q among them", faults, tt.want)
			}
		})
	}
}

func TestCheckWantsHandlers(t *testing.T) {
	faults := pdktest.Check(read(t, exchange), func(*pdk.Host, []byte) ([]byte, error) { return nil, os.ErrNotExist })
	if len(faults) == 0 || !strings.Contains(faults[0], `word "?"`) {
		t.Errorf("got %q", faults)
	}
}

// recorder is a test that keeps its errors to itself.
type recorder struct {
	testing.TB
	errors  []string
	cleanup []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Skipped() bool    { return false }
func (r *recorder) Cleanup(f func()) { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}

func TestHostFailsTheTest(t *testing.T) {
	want := pdk.Request{Backend: "crm", Path: "/x/1"}
	good := pdktest.Exchange{Want: &want, Reply: pdk.Reply{Status: 200}}
	tests := []struct {
		name   string
		script []pdktest.Exchange
		send   []pdk.Request
		want   string // in the only error; "" for none
	}{
		{"another path", []pdktest.Exchange{good}, []pdk.Request{{Backend: "crm", Path: "/x/2"}}, "want:\nGET crm /x/1"},
		{"another body", []pdktest.Exchange{good}, []pdk.Request{{Backend: "crm", Path: "/x/1", Body: []byte("{}")}}, "request 1"},
		{"one too many", []pdktest.Exchange{good}, []pdk.Request{want, want}, "one too many"},
		{"one too few", []pdktest.Exchange{good, good}, []pdk.Request{want}, "sent 1 requests, want 2"},
		{"as scripted", []pdktest.Exchange{good}, []pdk.Request{{Backend: "crm", Method: "GET", Path: "/x/1"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := new(recorder)
			host := pdktest.NewHost(r, tt.script...)
			for _, req := range tt.send {
				_, _ = host.Guest().Do(req)
			}
			for _, f := range r.cleanup {
				f()
			}
			got := strings.Join(r.errors, "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" || len(r.errors) > 1 {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHostBudget(t *testing.T) {
	any := pdktest.Exchange{Reply: pdk.Reply{Status: 200}}
	host := pdktest.NewHost(t, any, any)
	host.Budget = 1
	guest := host.Guest()
	if _, err := guest.Do(pdk.Request{Path: "/"}); err != nil {
		t.Error(err)
	}
	if _, err := guest.Do(pdk.Request{Path: "/"}); pdk.CodeOf(err) != pdk.Denied {
		t.Errorf("past the budget: got %v, want denied", err)
	}
}

func TestReadFilesRefuses(t *testing.T) {
	for _, text := range []string{
		"no call\n",
		"-- call --\nget\n-- surprise --\n",
		"-- call --\nget\n-- request --\nGET /x\n",
		"-- call --\nget\n-- request --\nGET crm /x\ncookie a = b\n",
		"-- call --\nget\n-- reply --\n200\n",
		"-- call --\nget\n-- request --\nGET crm /x\n-- reply --\nOK\n",
		"-- call --\nget\n-- request --\nGET crm /x\n-- reply --\n200\n-- reply --\n200\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.txtar"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pdktest.ReadFiles(dir); err == nil || !strings.Contains(err.Error(), "a.txtar") {
			t.Errorf("%q: got %v, want an error that names the file", text, err)
		}
	}
}

func TestUpdateWritesWhatWasSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "get.txtar")
	stale := strings.NewReplacer("GET crm /x/1", "GET x /old", `{"name": "Ann"}`+"\n", "{}\n").Replace(exchange)
	if err := os.WriteFile(path, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	functions := map[string]pdk.Function{"get": pdk.Handler(lookUp)}
	pdktest.Run(t, pdktest.Suite{Dir: dir, Functions: functions, Update: true})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(exchange, `{"name": "Ann"}`+"\n", "{\n  \"name\": \"Ann\"\n}\n", 1); string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	pdktest.Run(t, pdktest.Suite{Dir: dir, Functions: functions})
}

// A txtar file that can be read names a function, whatever else it holds.
func FuzzReadFile(f *testing.F) {
	f.Add([]byte(exchange))
	f.Add([]byte("-- call --\n-- request --\n-- reply --\nrefused {"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.txtar"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := pdktest.ReadFiles(dir)
		if err == nil && files[0].Function == "" {
			t.Error("a file without a function was read")
		}
	})
}
