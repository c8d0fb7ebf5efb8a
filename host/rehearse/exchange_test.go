package rehearse_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/rehearse"
	"pointsman/pdk/pdktest"
)

func TestParseRefuses(t *testing.T) {
	const call = "-- call --\nget\n{}\n"
	tests := []struct{ name, text, want string }{
		{"nothing", "", `no section "call"`},
		{"a call of nothing", "-- call --\n\n{}\n", `no section "call"`},
		{"two calls", call + call, "twice"},
		{"a section that there is not", call + "-- answer --\n{}\n", "no section has this name"},
		{"a request of two words", call + "-- request --\nGET /x\n-- reply --\n200\n", "first line"},
		{"a line that is neither query nor header", call + "-- request --\nGET crm /x\ncookie a = b\n", "neither query nor header"},
		{"a reply to nothing", call + "-- reply --\n200\n", "follows no request"},
		{"two replies", call + "-- request --\nGET crm /x\n-- reply --\n200\n-- reply --\n200\n", "follows no request"},
		{"no reply", call + "-- request --\nGET crm /x\n", "no reply"},
		{"no reply to the first", call + "-- request --\nGET crm /x\n-- request --\nGET crm /x\n-- reply --\n200\n", "no reply"},
		{"a status that is none", call + "-- request --\nGET crm /x\n-- reply --\nfine\n", "status from 200"},
		{"a status that is no answer", call + "-- request --\nGET crm /x\n-- reply --\n101\n", "status from 200"},
		{"a header without a colon", call + "-- request --\nGET crm /x\n-- reply --\n200\nx-y\n", "no header"},
		{"a refusal that is no JSON", call + "-- request --\nGET crm /x\n-- reply --\nrefused no\n", "reply"},
		{"too much", call + strings.Repeat("x", 33<<20), "32 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := rehearse.Parse("f", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v, want an error about %q", r, err, tt.want)
			}
		})
	}
}

// TestReadsWhatThePDKReads: one file is the same to a plugin's native tests and to a rehearsal.
func TestReadsWhatThePDKReads(t *testing.T) {
	dirs, err := filepath.Glob("../../plugins/*/testdata")
	if err != nil || len(dirs) < 3 {
		t.Fatalf("the plugins' exchange files: %v, %v", dirs, err)
	}
	for _, dir := range dirs {
		files, err := pdktest.ReadFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rehearse.Parse(f.Path, text)
			if err != nil {
				t.Fatal(err)
			}
			want := &rehearse.Recording{Name: f.Path, Function: f.Function, Input: f.Input, Response: f.Response, Error: f.Error}
			for _, ex := range f.Script {
				want.Exchanges = append(want.Exchanges, rehearse.Exchange{
					Method: ex.Want.Method, Backend: ex.Want.Backend, Path: ex.Want.Path, Query: ex.Want.Query, Header: ex.Want.Header, Body: ex.Want.Body,
					Status: ex.Reply.Status, Answer: ex.Reply.Header, Reply: ex.Reply.Body, Refused: ex.Refused,
				})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", f.Path, diff)
			}
		}
	}
}

// FuzzParse: a request that was read and is written again is read as the same request.
func FuzzParse(f *testing.F) {
	f.Add([]byte("-- call --\nget\n{}\n-- request --\nPOST crm /x/1\nquery a = b\nheader X-Y = z\n\n{\"a\": 1}\n-- reply --\n200\nx-y: z\n\n{}\n-- response --\n{}\n"))
	f.Add([]byte("c\n-- call --\nget\n-- request --\nQUERY store by-number\n\n{\"args\":{}}\n-- reply --\nrefused {\"code\":\"denied\",\"message\":\"\"}\n-- error --\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := rehearse.Parse("f", text)
		if err != nil {
			return
		}
		for _, ex := range r.Exchanges {
			again, err := rehearse.Parse("f", []byte("-- call --\nf\n-- request --\n"+ex.String()+"-- reply --\n200\n"))
			if err != nil || len(again.Exchanges) != 1 {
				t.Fatalf("%q is read as %+v, %v", ex.String(), again, err)
			}
			if got := again.Exchanges[0].String(); got != ex.String() {
				t.Errorf("%q is read as %q", ex.String(), got)
			}
		}
	})
}
