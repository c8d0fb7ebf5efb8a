package rehearse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"pointsman/pdk/wire"
)

// MaxFileBytes bounds one exchange file: the answers of a request's 32 uses at the size that a
// back end's answer has at most.
const MaxFileBytes = 32 << 20

// Recording is an exchange file, as package pdktest of the PDK plays them: a call of one
// function, what it asks of others, and what it answers. It is a txtar archive of the sections
// call, request and reply (in pairs), response, error and log. A request's first line is
//
//	GET hubspot /crm/v3/objects/contacts/501    of a back end
//	QUERY store by-number                       a statement of a database
//	CALL square-loyalty get                     a function of another plugin
type Recording struct {
	Name      string // of the file
	Function  string
	Input     []byte
	Exchanges []Exchange
	Response  []byte // the recorded output; nil: none
	Error     []byte // the recorded error; nil: none
}

// Exchange is one recorded use and what came of it.
type Exchange struct {
	Method, Backend, Path string
	Query, Header         []wire.Field
	Body                  []byte

	Status  int // of the answer; 0 if Refused is set
	Answer  []wire.Field
	Reply   []byte
	Refused *wire.Error // what the host said instead of an answer
}

// Parse reads an exchange file. The error says which section is wrong, and why.
func Parse(name string, text []byte) (*Recording, error) {
	if len(text) > MaxFileBytes {
		return nil, fmt.Errorf("%s: more than %d MiB", name, MaxFileBytes>>20)
	}
	r := &Recording{Name: name}
	for _, s := range sections(string(text)) {
		if err := r.take(s.name, s.text); err != nil {
			return nil, fmt.Errorf("%s: section %q: %w", name, s.name, err)
		}
	}
	if r.Function == "" {
		return nil, fmt.Errorf("%s: there is no section \"call\" with a function", name)
	}
	if n := len(r.Exchanges); n > 0 && !r.Exchanges[n-1].answered() {
		return nil, fmt.Errorf("%s: the last request has no reply", name)
	}
	return r, nil
}

type section struct{ name, text string }

// sections takes a txtar archive apart; the comment in front is left out.
func sections(text string) []section {
	var all []section
	for line := range strings.Lines(text) {
		rest, begins := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "-- ")
		name, ends := strings.CutSuffix(rest, " --")
		if name = strings.TrimSpace(name); begins && ends && name != "" {
			all = append(all, section{name: name})
		} else if len(all) > 0 {
			all[len(all)-1].text += line
		}
	}
	return all
}

func (r *Recording) take(name, text string) error {
	n := len(r.Exchanges)
	switch name {
	case "call":
		if r.Function != "" {
			return fmt.Errorf("it is there twice")
		}
		function, input, _ := strings.Cut(text, "\n")
		r.Function, r.Input = strings.TrimSpace(function), []byte(strings.TrimSpace(input))
	case "request":
		if n > 0 && !r.Exchanges[n-1].answered() {
			return fmt.Errorf("the request before it has no reply")
		}
		e, err := parseRequest(text)
		if err != nil {
			return err
		}
		r.Exchanges = append(r.Exchanges, e)
	case "reply":
		if n == 0 || r.Exchanges[n-1].answered() {
			return fmt.Errorf("it follows no request")
		}
		return r.Exchanges[n-1].parseReply(text)
	case "response":
		r.Response = []byte(text)
	case "error":
		r.Error = []byte(text)
	case "log":
	default:
		return fmt.Errorf("no section has this name")
	}
	return nil
}

func (e *Exchange) answered() bool { return e.Status != 0 || e.Refused != nil }

func parseRequest(text string) (Exchange, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	first := strings.Fields(lines[0])
	if len(first) != 3 {
		return Exchange{}, fmt.Errorf("the first line must be METHOD backend /path, QUERY backend statement or CALL plugin function")
	}
	e := Exchange{Method: first[0], Backend: first[1], Path: first[2], Body: []byte(strings.TrimSpace(body))}
	for _, line := range lines[1:] {
		left, value, found := strings.Cut(line, " = ")
		kind, name, _ := strings.Cut(left, " ")
		switch {
		case found && kind == "query":
			e.Query = append(e.Query, wire.Field{Name: name, Value: value})
		case found && kind == "header":
			e.Header = append(e.Header, wire.Field{Name: name, Value: value})
		default:
			return Exchange{}, fmt.Errorf("line %q is neither query nor header", line)
		}
	}
	return e, nil
}

func (e *Exchange) parseReply(text string) error {
	if refusal, ok := strings.CutPrefix(text, "refused "); ok {
		e.Refused = new(wire.Error)
		return json.Unmarshal([]byte(refusal), e.Refused)
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	status, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || status < 200 || status > 599 {
		return fmt.Errorf("the first line must be a status from 200 to 599, or refused")
	}
	e.Status, e.Reply = status, []byte(body)
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ": ")
		if !found {
			return fmt.Errorf("line %q is no header", line)
		}
		e.Answer = append(e.Answer, wire.Field{Name: name, Value: value})
	}
	return nil
}

// String is the request as its file has it, bodies of JSON without white space: two that ask
// for the same are the same text.
func (e *Exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", e.Method, e.Backend, e.Path)
	for _, f := range e.Query {
		fmt.Fprintf(&b, "query %s = %s\n", f.Name, f.Value)
	}
	for _, f := range e.Header {
		fmt.Fprintf(&b, "header %s = %s\n", strings.ToLower(f.Name), f.Value)
	}
	if len(e.Body) > 0 {
		fmt.Fprintf(&b, "\n%s\n", compact(e.Body))
	}
	return b.String()
}
