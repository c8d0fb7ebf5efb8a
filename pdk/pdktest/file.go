//go:build !wasip1

package pdktest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pointsman/pdk"
	"pointsman/pdk/wire"
)

// File is one exchange file: a call of one function, what it asks of back ends, and what it
// answers. It is a txtar archive:
//
//	What this case is about.
//	-- call --
//	get                                     the function
//	{"id": "501"}                           its input
//	-- request --                           any number of pairs of request and reply
//	GET hubspot /crm/v3/objects/contacts/501
//	query properties = email,phone          one line each, in order
//	header Name = value
//
//	the body, JSON compared without regard to white space; for a statement of a database:
//	QUERY store by-number
//
//	{"args": {"number": "C-1"}}
//
//	or, for a function of another plugin, with its input as the body:
//	CALL square-loyalty get
//	-- reply --
//	200                                     or: refused {"code":"denied","message":"..."}
//	retry-after: 30
//
//	the body, as it is; for a statement the rows, a JSON array; for a function its output
//	-- response --                          either the output ...
//	{"id": "501"}
//	-- error --                             ... or the error
//	{"code":"not_found","message":"..."}
//	-- log --                               only if the function logs
//	warn: message name=value
type File struct {
	Path     string // of the file
	Comment  string
	Function string
	Input    []byte
	Script   []Exchange
	Response []byte // the expected output, JSON; nil if Error is expected
	Error    []byte // the expected error, JSON
	Log      string // the expected records
}

// ReadFiles reads the exchange files in dir, by name.
func ReadFiles(dir string) ([]*File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	files := make([]*File, 0, len(paths))
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		f, err := parseFile(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		f.Path = p
		files = append(files, f)
	}
	return files, nil
}

func parseFile(text []byte) (*File, error) {
	a := parseArchive(text)
	f := &File{Comment: a.comment}
	for _, s := range a.sections {
		if err := f.take(s); err != nil {
			return nil, fmt.Errorf("section %q: %w", s.name, err)
		}
	}
	if f.Function == "" {
		return nil, fmt.Errorf("there is no section \"call\"")
	}
	return f, nil
}

func (f *File) take(s section) error {
	switch s.name {
	case "call":
		name, input, _ := strings.Cut(s.text, "\n")
		f.Function, f.Input = strings.TrimSpace(name), []byte(strings.TrimSpace(input))
	case "request":
		r, err := parseRequest(s.text)
		if err != nil {
			return err
		}
		f.Script = append(f.Script, Exchange{Want: r})
	case "reply":
		if len(f.Script) == 0 || f.Script[len(f.Script)-1].Reply.Status != 0 || f.Script[len(f.Script)-1].Refused != nil {
			return fmt.Errorf("it follows no request")
		}
		return parseReply(s.text, &f.Script[len(f.Script)-1])
	case "response":
		f.Response = []byte(s.text)
	case "error":
		f.Error = []byte(s.text)
	case "log":
		f.Log = s.text
	default:
		return fmt.Errorf("no section has this name")
	}
	return nil
}

func parseRequest(text string) (*pdk.Request, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	first := strings.Fields(lines[0])
	if len(first) != 3 {
		return nil, fmt.Errorf("the first line must be METHOD backend /path, QUERY backend statement or CALL plugin function")
	}
	r := &pdk.Request{Method: first[0], Backend: first[1], Path: first[2], Body: []byte(strings.TrimSpace(body))}
	for _, line := range lines[1:] {
		left, value, found := strings.Cut(line, " = ")
		kind, name, _ := strings.Cut(left, " ")
		switch {
		case found && kind == "query":
			r.Query = append(r.Query, pdk.Field{Name: name, Value: value})
		case found && kind == "header":
			r.Header = append(r.Header, pdk.Field{Name: name, Value: value})
		default:
			return nil, fmt.Errorf("line %q is neither query nor header", line)
		}
	}
	return r, nil
}

func parseReply(text string, ex *Exchange) error {
	if refusal, ok := strings.CutPrefix(text, "refused "); ok {
		ex.Refused = new(wire.Error)
		return json.Unmarshal([]byte(refusal), ex.Refused)
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	status, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || status < 200 || status > 599 {
		return fmt.Errorf("the first line must be a status from 200 to 599")
	}
	ex.Reply = pdk.Reply{Status: status, Body: []byte(body)}
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found {
			return fmt.Errorf("line %q is no header", line)
		}
		ex.Reply.Header = append(ex.Reply.Header, pdk.Field{Name: name, Value: value})
	}
	return nil
}

// rewrite puts what was observed in place of the expectations in the file.
func (f *File) rewrite(calls []pdk.Request, response, failure []byte, log string) error {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	old := parseArchive(text)
	a := archive{comment: old.comment}
	n := 0
	for _, s := range old.sections {
		switch s.name {
		case "response", "error", "log":
			continue
		case "request":
			if n < len(calls) {
				s.text = formatRequest(calls[n])
			}
			n++
		}
		a.sections = append(a.sections, s)
	}
	for _, s := range []section{{"response", string(response)}, {"error", string(failure)}, {"log", log}} {
		if s.text != "" {
			a.sections = append(a.sections, s)
		}
	}
	return os.WriteFile(f.Path, a.format(), 0o644)
}
