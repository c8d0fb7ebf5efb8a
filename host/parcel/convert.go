package parcel

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/pdk/record"
)

// conversions make another value of a text; nil for none. Those of strings are package
// record's, so that a connector means the same whether it reads or not.
var conversions = map[string]func(text []byte) []byte{
	"text":     ofString(record.Text),
	"email":    ofString(record.Email),
	"phone":    ofString(record.Phone),
	"time":     ofString(record.Time),
	"date":     ofString(record.Date),
	"language": ofString(record.Language),
	"lower":    ofString(strings.ToLower),
	"upper":    ofString(strings.ToUpper),
	"number":   toNumber,
	"boolean":  toBoolean,
	"string":   toString,
}

func ofString(f func(string) string) func([]byte) []byte {
	return func(text []byte) []byte {
		plain, ok := plainString(text)
		if !ok {
			return nil
		}
		if plain = f(plain); plain == "" {
			return nil
		}
		quoted, err := jsontext.AppendQuote(nil, plain)
		if err != nil {
			return nil
		}
		return quoted
	}
}

// toNumber takes numbers and strings that are one; their digits stay.
func toNumber(text []byte) []byte {
	if plain, ok := plainString(text); ok {
		text = []byte(plain)
	}
	if v := jsontext.Value(text); v.Kind() == '0' && v.IsValid() && len(text) == skip(text, 0) {
		return text
	}
	return nil
}

func toBoolean(text []byte) []byte {
	if plain, ok := plainString(text); ok {
		text = []byte(plain)
	}
	switch string(text) {
	case "true", "false":
		return text
	}
	return nil
}

func toString(text []byte) []byte {
	switch text[0] {
	case '"':
		return text
	case '{', '[', 'n':
		return nil
	}
	return append(append([]byte{'"'}, text...), '"')
}
