package sqldb

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// statement is a Statement that was checked.
type statement struct {
	Statement
	name  string
	rows  int
	parts []string          // of SQL around its choices: text, choice, text, choice, ..., text
	texts map[string]string // every text that choices make, by words joined with NUL in the order of names
	names []string          // of the choices, sorted
	ids   map[string]string // text: its name as a prepared statement
	yield map[string]bool   // text: whether it answers rows
}

var (
	nameText   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	choiceText = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_-]{0,62})\}`)
)

// compile makes every text that s can become and checks each.
func compile(driver, name string, s Statement, limits Limits) (*statement, error) {
	c := &statement{Statement: s, name: name, rows: s.Rows, texts: map[string]string{}, ids: map[string]string{}, yield: map[string]bool{}}
	if s.Rows == 0 {
		c.rows = limits.Rows
	}
	if s.Rows < 0 || s.Rows > limits.Rows {
		return nil, fmt.Errorf("rows must be from 1 to the limit of %d", limits.Rows)
	}
	if len(s.SQL) > maxText {
		return nil, fmt.Errorf("the text is longer than %d bytes", maxText)
	}
	if err := checkParams(s.Params); err != nil {
		return nil, err
	}
	if err := c.split(); err != nil {
		return nil, err
	}
	return c, c.expand(driver, nil)
}

func checkParams(params []Param) error {
	if len(params) > maxParams {
		return fmt.Errorf("more than %d params", maxParams)
	}
	seen := map[string]bool{}
	for i, p := range params {
		switch {
		case !nameText.MatchString(p.Name):
			return fmt.Errorf("params[%d]: %q is not a name", i, p.Name)
		case seen[p.Name]:
			return fmt.Errorf("params[%d]: the name %s is taken", i, p.Name)
		case !slices.Contains([]string{Text, Integer, Number, Boolean, Timestamp, Bytes}, p.Type):
			return fmt.Errorf("params[%d]: there is no type %q", i, p.Type)
		case p.MaxLength < 0 || p.MaxLength > maxLength:
			return fmt.Errorf("params[%d]: maxLength must be from 1 to %d", i, maxLength)
		case p.MaxLength > 0 && p.Type != Text && p.Type != Bytes:
			return fmt.Errorf("params[%d]: maxLength belongs to text and bytes", i)
		}
		seen[p.Name] = true
	}
	return nil
}

// split finds the choices in the text.
func (c *statement) split() error {
	used := map[string]bool{}
	rest := c.SQL
	for {
		at := choiceText.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		name := rest[at[2]:at[3]]
		if len(c.Choices[name]) == 0 {
			return fmt.Errorf("{%s} stands for no choice", name)
		}
		c.parts = append(c.parts, rest[:at[0]], name)
		used[name] = true
		rest = rest[at[1]:]
	}
	c.parts = append(c.parts, rest)
	c.names = slices.Sorted(maps.Keys(c.Choices))
	n := 1
	for _, name := range c.names {
		if !used[name] {
			return fmt.Errorf("choice %s is not used: write {%s} where it belongs", name, name)
		}
		if n *= len(c.Choices[name]); n > maxCombinations {
			return fmt.Errorf("the choices make more than %d texts", maxCombinations)
		}
	}
	return nil
}

// expand checks the texts of all combinations that begin with words.
func (c *statement) expand(driver string, words []string) error {
	if len(words) < len(c.names) {
		choice := c.Choices[c.names[len(words)]]
		for _, word := range slices.Sorted(maps.Keys(choice)) {
			if !nameText.MatchString(word) {
				return fmt.Errorf("choice %s: %q is not a name", c.names[len(words)], word)
			}
			if err := c.expand(driver, append(slices.Clip(words), word)); err != nil {
				return err
			}
		}
		return nil
	}
	var b strings.Builder
	for i, part := range c.parts {
		if i%2 == 1 {
			at, _ := slices.BinarySearch(c.names, part)
			part = c.Choices[part][words[at]]
		}
		b.WriteString(part)
	}
	text := b.String()
	got, err := check(driver, text)
	if err == nil {
		err = got.allowed(c.Write)
	}
	if err == nil && got.params != len(c.Params) {
		err = fmt.Errorf("the text has %d placeholders, params %d", got.params, len(c.Params))
	}
	if err != nil {
		if len(words) > 0 {
			return fmt.Errorf("with the choices %s: %w", strings.Join(words, ", "), err)
		}
		return err
	}
	c.texts[strings.Join(words, "\x00")] = text
	c.yield[text] = got.rows
	c.ids[text] = fmt.Sprintf("pm_%s_%d", c.name, len(c.ids))
	return nil
}

var errChoice = errors.New("choice")

// text is the text that the words make. The error says which choices there are.
func (c *statement) text(chosen map[string]string) (string, error) {
	words := make([]string, len(c.names))
	for i, name := range c.names {
		word, ok := chosen[name]
		if _, known := c.Choices[name][word]; !ok || !known {
			return "", fmt.Errorf("%w %s must be one of %s", errChoice, name, strings.Join(slices.Sorted(maps.Keys(c.Choices[name])), ", "))
		}
		words[i] = word
	}
	if len(chosen) != len(c.names) {
		return "", fmt.Errorf("%w: the statement has only: %s", errChoice, strings.Join(c.names, ", "))
	}
	return c.texts[strings.Join(words, "\x00")], nil
}
