package sqldb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxText         = 64 << 10 // bytes of a statement with its choices: a capability's head has as many
	maxCombinations = 64       // of choices: each is a text that a server prepares
	maxParams       = 100
)

// checked is what is known of a text that holds exactly one statement.
type checked struct {
	verb   string // the first word, in upper case
	params int    // placeholders
	rows   bool   // it answers rows
}

// check reads text with the driver's rules for quoting and refuses what is not exactly one
// statement of a kind that has rows or changes them.
//
// It is no parser of SQL: the admin who writes the text is trusted to mean it. It keeps out
// what would silently undo a promise of this package: a second statement, the end of the
// transaction, a change of the session that the next user would meet.
func check(driver, text string) (checked, error) {
	var c checked
	switch {
	case len(text) > maxText:
		return c, fmt.Errorf("the text is longer than %d bytes", maxText)
	case !utf8.ValidString(text):
		return c, errors.New("the text is not UTF-8")
	case strings.ContainsRune(text, 0):
		return c, errors.New("the text holds a NUL")
	}
	s := scanner{driver: driver, text: text}
	numbered := map[int]bool{}
	ended, changes, returning := false, false, false
	for {
		kind, word, err := s.next()
		if err != nil {
			return c, err
		}
		if kind == tokenEnd {
			break
		}
		if ended {
			return c, errors.New("something follows the semicolon: a text is exactly one statement")
		}
		switch kind {
		case tokenSemicolon:
			ended = true
		case tokenWord:
			upper := strings.ToUpper(word)
			if c.verb == "" {
				c.verb = upper
			}
			if err := forbidden(driver, upper); err != nil {
				return c, err
			}
			changes = changes || slices.Contains(writingVerbs, upper)
			returning = returning || upper == "RETURNING"
		case tokenParam:
			if driver != Postgres {
				c.params++
				break
			}
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 || n > maxParams {
				return c, fmt.Errorf("placeholder $%.10s is out of range", word)
			}
			numbered[n] = true
			c.params = max(c.params, n)
		}
		if c.verb == "" && kind != tokenWord && kind != tokenOpen {
			return c, errors.New("the text does not begin with a word of SQL")
		}
	}
	if len(numbered) != 0 && len(numbered) != c.params {
		return c, fmt.Errorf("placeholders go to $%d, but not every number before it is used", c.params)
	}
	if c.params > maxParams {
		return c, fmt.Errorf("more than %d placeholders", maxParams)
	}
	c.rows = returning || c.verb != "WITH" && slices.Contains(readingVerbs, c.verb) || !changes
	return c, nil
}

var (
	readingVerbs = []string{"SELECT", "WITH", "VALUES", "TABLE"}
	writingVerbs = []string{"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"}
)

// allowed refuses verbs that s is not declared for.
func (c checked) allowed(write bool) error {
	if slices.Contains(readingVerbs, c.verb) || write && slices.Contains(writingVerbs, c.verb) {
		return nil
	}
	if slices.Contains(writingVerbs, c.verb) {
		return fmt.Errorf("%s needs write: true", c.verb)
	}
	return fmt.Errorf("a statement begins with one of %s, and with write: true also %s",
		strings.Join(readingVerbs, ", "), strings.Join(writingVerbs, ", "))
}

// session are functions whose use outlasts the transaction or tells of the use before, for
// the drivers whose sessions are not reset by the server.
var session = map[string][]string{
	MySQL:  {"GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "LAST_INSERT_ID", "FOUND_ROWS", "ROW_COUNT", "SQL_CALC_FOUND_ROWS", "OUTFILE", "DUMPFILE", "LOAD_FILE", "BENCHMARK"},
	SQLite: {"LAST_INSERT_ROWID", "CHANGES", "TOTAL_CHANGES", "LOAD_EXTENSION"},
}

func forbidden(driver, word string) error {
	if slices.Contains(session[driver], word) {
		return fmt.Errorf("%s is refused: its effect is not confined to one use of the statement", word)
	}
	return nil
}
