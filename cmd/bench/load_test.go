package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pointsman/cmd/backends/sim"
)

// testWorld is contenders that answer by handlers, in this process.
func testWorld(t *testing.T, handlers ...http.HandlerFunc) *world {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ca: ca, key: "key"}
	for i, h := range handlers {
		l, err := sim.Listen(h, ca, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		w.contenders = append(w.contenders, contender{name: string(rune('a' + i)), address: l.Addr().String()})
	}
	return w
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

func TestLoadRefusesWhatIsNotAnAnswer(t *testing.T) {
	var n atomic.Int64
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"an error", says(http.StatusServiceUnavailable, ""), "answered 503"},
		{"one error among answers", func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 5 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}, "answered 429"},
		{"a torn answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			w.Write([]byte("torn"))
		}, "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := testWorld(t, tt.handler)
			_, err := newLoad(w, 2).run(t.Context(), w.contenders[0], 5*time.Second)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLoadCounts(t *testing.T) {
	var asked atomic.Int64
	w := testWorld(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer key" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	got, err := newLoad(w, 3).run(t.Context(), w.contenders[0], 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(got.latencies)); n < 3 || n != asked.Load() || got.rate <= 0 {
		t.Errorf("counted %d of %d requests, rate %v", n, asked.Load(), got.rate)
	}
}

func TestAlike(t *testing.T) {
	tests := []struct {
		name string
		a, b answer
		want bool
	}{
		{"other status", answer{200, []byte(`{}`)}, answer{404, []byte(`{}`)}, false},
		{"other value", answer{200, []byte(`{"a":1}`)}, answer{200, []byte(`{"a":2}`)}, false},
		{"another field", answer{200, []byte(`{"a":1}`)}, answer{200, []byte(`{"a":1,"b":null}`)}, false},
		{"other order in a list", answer{200, []byte(`[1,2]`)}, answer{200, []byte(`[2,1]`)}, false},
		{"a number that a float cannot tell apart", answer{200, []byte(`12345678901234567890`)}, answer{200, []byte(`12345678901234567891`)}, false},
		{"no JSON", answer{200, []byte(`<html>`)}, answer{200, []byte(`<html>`)}, false},
		{"more after it", answer{200, []byte(`{}{}`)}, answer{200, []byte(`{}{}`)}, false},
		{"other order of fields, other space", answer{200, []byte(`{"a":1,"b":[2]}`)}, answer{200, []byte("{ \"b\":[2],\n\"a\":1}")}, true},
		{"errors in words of their own", answer{404, []byte(`{"title":"x"}`)}, answer{404, nil}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := alike(tt.a, tt.b); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCompareAnswers(t *testing.T) {
	tests := []struct {
		name string
		a, b http.HandlerFunc
		want string
	}{
		{"they differ", says(200, `{"a":1}`), says(200, `{"a":2}`), "C-100042: a answers 200"},
		{"nobody is found", says(404, ""), says(404, ""), "0 of 1 customers were found"},
		{"they agree", says(200, `{"a":1}`), says(200, ` {"a":1}`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := compareAnswers(t.Context(), testWorld(t, tt.a, tt.b), []string{"C-100042"})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// An answer with pointers is compared by whom they point at, and never passes with none.
func TestResolve(t *testing.T) {
	const x, y = `{"customer":"ptr_customer_AAx","name":"x"}`, `{"customer":"ptr_customer_AAy","name":"y"}`
	tests := []struct {
		name     string
		answers  []answer
		want     []string
		wantFail string
	}{
		{"two customers", []answer{{200, []byte(x)}, {200, []byte(y)}}, []string{`{"customer":"C-1","name":"x"}`, `{"customer":"C-2","name":"y"}`}, ""},
		{"nobody", []answer{{404, []byte(`{}`)}, {200, []byte(y)}}, []string{`{}`, `{"customer":"C-2","name":"y"}`}, ""},
		{"no pointer", []answer{{200, []byte(x)}, {200, []byte(`{"name":"y"}`)}}, nil, "C-2: want a pointer"},
		{"a number", []answer{{200, []byte(`{"customer":"C-1"}`)}, {404, nil}}, nil, "C-1: want a pointer"},
		{"a number beside the pointer", []answer{{200, []byte(`{"customer":"ptr_customer_AAx","id":"C-1"}`)}, {404, nil}}, nil, "C-1: want a pointer"},
		{"one pointer for two", []answer{{200, []byte(x)}, {200, []byte(x)}}, nil, "C-1 and C-2 are the same pointer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := resolve(tt.answers, []string{"C-1", "C-2"})
			if tt.wantFail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantFail) {
					t.Errorf("got %v, want %q", err, tt.wantFail)
				}
				return
			}
			for i, want := range tt.want {
				if got := string(tt.answers[i].body); err != nil || got != want {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			}
		})
	}
}

// Every way to be known or not is among the samples, and nobody twice.
func TestSamples(t *testing.T) {
	people := sim.NewData(seed, customers)
	ways, seen := map[[3]bool]bool{}, map[string]bool{}
	for _, number := range samples() {
		if seen[number] {
			t.Errorf("%s twice", number)
		}
		seen[number] = true
		if c, ok := people.Customer(number); ok {
			ways[[3]bool{c.SalesforceID != "", c.HubSpotID != "", c.SquareID != ""}] = true
		}
	}
	if len(seen) < 20 || len(ways) != 7 { // of three systems, all but nowhere
		t.Errorf("%d samples of %d ways", len(seen), len(ways))
	}
}
