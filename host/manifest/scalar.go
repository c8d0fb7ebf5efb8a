package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// problem is what is wrong with one text; where it stands is the reader's to know.
type problem struct{ code, message, suggestion string }

func problemf(code, suggestion, format string, args ...any) *problem {
	return &problem{code, fmt.Sprintf(format, args...), suggestion}
}

// text returns the text of a scalar that every YAML program takes for a text.
func (r *reader) text(n *yaml.Node, at, want string) (string, bool) {
	text, ok := r.anyText(n, at, want)
	return text, ok && r.certain(n, at, want)
}

// certain reports whether the scalar is a text to every YAML program, and a fault if not.
func (r *reader) certain(n *yaml.Node, at, want string) bool {
	if plain(n) && looksTyped(n.Value) {
		r.add(n, at, codeAmbiguous, "", "expected %s; %s is not a text to every YAML program, so put it in quotes", want, quote(n.Value))
		return false
	}
	return true
}

// anyText returns the text of a scalar, whatever it looks like.
func (r *reader) anyText(n *yaml.Node, at, want string) (string, bool) {
	if !r.is(n, yaml.ScalarNode, at, want) {
		return "", false
	}
	if plain(n) && n.Value == "" {
		r.add(n, at, codeType, "", "expected %s, found nothing", want)
		return "", false
	}
	if utf8.RuneCountInString(n.Value) > maxText {
		r.add(n, at, codeLength, "", "more than %d characters", maxText)
		return "", false
	}
	return n.Value, true
}

// word is a text with a rule of its own.
func word[T any](want string, s schema, parse func(string) (T, *problem), write func(T) string) form[T] {
	s["type"] = "string"
	return form[T]{
		schema: s,
		read: func(r *reader, n *yaml.Node, at string) T {
			var zero T
			text, ok := r.anyText(n, at, want)
			if !ok {
				return zero
			}
			v, p := parse(text)
			if p != nil {
				r.add(n, at, p.code, p.suggestion, "%s", p.message)
				return zero
			}
			if !r.certain(n, at, want) {
				return zero
			}
			return v
		},
		write: func(v T) any { return write(v) },
	}
}

func itself(s string) string { return s }

// free is a text of at most most characters, and at least one.
func free(most int) form[string] {
	return word(fmt.Sprintf("a text of at most %d characters", most), schema{"minLength": 1, "maxLength": most},
		func(s string) (string, *problem) {
			if n := utf8.RuneCountInString(s); n == 0 || n > most {
				return "", problemf(codeLength, "", "%d characters; expected 1 to %d", n, most)
			}
			return s, nil
		}, itself)
}

var (
	plainName    = nameRule{pattern: regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`), want: "a name (a lower-case letter, then lower-case letters, digits or hyphens, at most 63)"}
	paramName    = nameRule{pattern: regexp.MustCompile(`^[a-z][a-zA-Z0-9_-]{0,62}$`), want: "a parameter's name (a lower-case letter, then letters, digits, hyphens or underscores, at most 63)"}
	functionName = nameRule{pattern: regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$`), want: "a function's name (letters, digits, hyphens or underscores, at most 63)"}
	configName   = nameRule{pattern: regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,62}$`), want: "a setting's name (letters, digits, dots, hyphens or underscores, at most 63)"}
	scopeName    = nameRule{pattern: regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}(?:\.[a-z][a-z0-9-]{0,31}){0,3}$`), want: "a scope (names with dots between them, such as profile.read)"}
)

// near returns text in the spelling of the rule, if that is all that is wrong with it.
func (rule nameRule) near(text string) string {
	lower := strings.ToLower(text)
	first := lower[:min(1, len(lower))] + text[min(1, len(lower), len(text)):]
	for _, s := range []string{first, lower, strings.NewReplacer("_", "-", " ", "-").Replace(lower)} {
		if s != text && rule.matches(s) {
			return s
		}
	}
	return ""
}

func (rule nameRule) check(text string) *problem {
	if rule.matches(text) {
		return nil
	}
	return problemf(codeName, rule.near(text), "%s is not %s", quote(text), rule.want)
}

func name(rule nameRule) form[string] {
	return word(rule.want, rule.schema(),
		func(s string) (string, *problem) {
			if p := rule.check(s); p != nil {
				return "", p
			}
			return s, nil
		}, itself)
}

// secretName is the name of a secret. Its faults do not repeat the text: whoever writes the
// secret itself there must not find it in a log.
func secretName() form[string] {
	return word(plainName.want, schema{"pattern": plainName.pattern.String()},
		func(s string) (string, *problem) {
			if !plainName.pattern.MatchString(s) {
				return "", problemf(codeName, "", "expected the name of a secret, which is %s", plainName.want)
			}
			return s, nil
		}, itself)
}

// choice is one of a few words.
func choice(code string, words ...string) form[string] {
	return word(oneOf(words), schema{"enum": words}, func(s string) (string, *problem) {
		if !slices.Contains(words, s) {
			return "", problemf(code, nearest(s, words), "expected %s, found %s", oneOf(words), quote(s))
		}
		return s, nil
	}, itself)
}

// boolean is true or false and nothing that merely means it.
func boolean() form[bool] {
	return form[bool]{
		schema: schema{"type": "boolean"},
		read: func(r *reader, n *yaml.Node, at string) bool {
			if !r.is(n, yaml.ScalarNode, at, "true or false") {
				return false
			}
			if !plain(n) || n.Value != "true" && n.Value != "false" {
				r.add(n, at, codeType, nearest(n.Value, []string{"true", "false"}), "expected true or false, without quotes; found %s", what(n))
			}
			return plain(n) && n.Value == "true"
		},
		write: func(b bool) any { return b },
	}
}

var wholeNumber = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,9})$`)

// number is a whole number in decimal digits.
func number(least, most int) form[int] {
	want := fmt.Sprintf("a whole number from %d to %d", least, most)
	return form[int]{
		schema: schema{"type": "integer", "minimum": least, "maximum": most},
		read: func(r *reader, n *yaml.Node, at string) int {
			if !r.is(n, yaml.ScalarNode, at, want) {
				return 0
			}
			v, err := strconv.Atoi(n.Value)
			switch {
			case !plain(n) || !wholeNumber.MatchString(n.Value) || err != nil:
				r.add(n, at, codeNumber, "", "expected %s, found %s", want, what(n))
				return 0
			case v < least || v > most:
				r.add(n, at, codeRange, "", "expected %s, found %d", want, v)
				return 0
			}
			return v
		},
		write: func(v int) any { return v },
	}
}
