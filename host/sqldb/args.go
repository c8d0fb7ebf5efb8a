package sqldb

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
)

// maxNumber is how long the text of a Number may be: more digits than any money has, and
// every number of 64 bits.
const maxNumber = 64

// Request is what someone who may use a statement asks for.
type Request struct {
	Statement string
	Args      map[string]jsontext.Value // by the name of the parameter, each one JSON value
	Choices   map[string]string
}

// Use is a request that was checked: the very values that were checked are those that Do
// hands to the database.
type Use struct {
	db   *DB
	s    *statement
	text string
	args []any // see decode
}

// Plan checks r and has no side effects. The error is a *broker.Error of kind Invalid, or
// Denied if there is no such statement, which repeats nothing of an argument.
func (d *DB) Plan(r Request) (*Use, error) {
	s := d.statements[r.Statement]
	if s == nil {
		return nil, &broker.Error{Kind: broker.Denied, Detail: "there is no such statement"}
	}
	text, err := s.text(r.Choices)
	if err != nil {
		return nil, invalid("%v", err)
	}
	args := make([]any, len(s.Params))
	given := 0
	for i, p := range s.Params {
		value, ok := r.Args[p.Name]
		if ok {
			given++
			if !value.IsValid() {
				return nil, invalid("argument %s must be one JSON value", p.Name)
			}
		}
		if !ok || value.Kind() == 'n' {
			if !p.Optional {
				return nil, invalid("argument %s is missing", p.Name)
			}
			continue
		}
		if args[i], err = decode(d.driver, p, value); err != nil {
			return nil, invalid("argument %s %v", p.Name, err)
		}
	}
	if given != len(r.Args) {
		names := make([]string, len(s.Params))
		for i, p := range s.Params {
			names[i] = p.Name
		}
		return nil, invalid("an argument is given that the statement does not take; it takes: %s", strings.Join(names, ", "))
	}
	return &Use{db: d, s: s, text: text, args: args}, nil
}

func invalid(format string, args ...any) *broker.Error {
	return &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf(format, args...)}
}

// decode reads an argument as one of string, int64, number, bool, time.Time (UTC) and
// []byte. Its error says what the value must be.
func decode(driver string, p Param, value jsontext.Value) (any, error) {
	most := p.MaxLength
	if most == 0 {
		most = maxLength
	}
	switch p.Type {
	case Text:
		s, ok := text(value)
		switch {
		case !ok:
			return nil, fmt.Errorf("must be a string")
		case strings.ContainsRune(s, 0):
			return nil, fmt.Errorf("must not hold a NUL")
		case utf8.RuneCountInString(s) > most:
			return nil, fmt.Errorf("must be at most %d characters", most)
		}
		return s, nil
	case Integer:
		if value.Kind() == '0' {
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err == nil {
				return n, nil
			}
		}
		return nil, fmt.Errorf("must be an integer of 64 bits, without fraction or exponent")
	case Number:
		return decodeNumber(value)
	case Boolean:
		if k := value.Kind(); k == 't' || k == 'f' {
			return k == 't', nil
		}
		return nil, fmt.Errorf("must be true or false")
	case Timestamp:
		return decodeTime(driver, value)
	case Bytes:
		s, ok := text(value)
		if !ok || len(s) > base64.StdEncoding.EncodedLen(most)+2 {
			return nil, fmt.Errorf("must be a string of at most %d bytes in base64", most)
		}
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || len(b) > most || strings.ContainsAny(s, "\r\n") {
			return nil, fmt.Errorf("must be a string of at most %d bytes in base64", most)
		}
		return b, nil
	}
	return nil, fmt.Errorf("has an unknown type")
}

// number is the text of a JSON number.
type number string

func decodeNumber(value jsontext.Value) (any, error) {
	s := string(bytes.TrimSpace(value))
	if value.Kind() != '0' || len(s) > maxNumber {
		return nil, fmt.Errorf("must be a number of at most %d characters", maxNumber)
	}
	// A double's range bounds the exponent: one of 100,000 would be as many digits.
	if f, err := strconv.ParseFloat(s, 64); err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("must be a number within the range of a double")
	}
	if _, exponent, found := strings.Cut(strings.ToLower(s), "e"); found {
		if n, err := strconv.Atoi(exponent); err != nil || n < -400 {
			return nil, fmt.Errorf("must be a number within the range of a double")
		}
	}
	return number(s), nil
}

// sqliteNumber is n as SQLite holds numbers: 64 bits, integer or floating point.
func (n number) sqlite() any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil { // decodeNumber has read it
		return nil
	}
	return f
}

// decodeTime refuses what the database would round: PostgreSQL and MySQL keep microseconds.
func decodeTime(driver string, value jsontext.Value) (any, error) {
	s, ok := text(value)
	t, err := time.Parse(time.RFC3339Nano, s)
	if !ok || err != nil || len(s) > 40 || strings.ContainsRune(s, ',') || t.Year() < 1 || t.Year() > 9999 {
		return nil, fmt.Errorf("must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z")
	}
	t = t.UTC()
	step, word := time.Nanosecond, "nanoseconds"
	if driver != SQLite {
		step, word = time.Microsecond, "microseconds"
	}
	_, fraction, _ := strings.Cut(s, ".")
	digits := len(fraction) - len(strings.TrimLeft(fraction, "0123456789"))
	if t.Nanosecond()%int(step) != 0 || digits > 9 || t.Year() < 1 || t.Year() > 9999 {
		return nil, fmt.Errorf("must not be finer than %s", word)
	}
	return t, nil
}

// text is the JSON string in value. It is strict: no invalid UTF-8, no lone surrogates.
func text(value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		return "", false
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", false
	}
	return s, true
}
