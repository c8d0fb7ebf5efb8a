package sqldb

import (
	"errors"
	"fmt"
	"strings"
)

// scanner splits a text into the few kinds of tokens that matter here.
type scanner struct {
	driver, text string
	at           int
}

type token uint8

const (
	tokenEnd token = iota
	tokenWord
	tokenParam
	tokenSemicolon
	tokenOpen
	tokenOther // punctuation, numbers, anything quoted
)

func (s *scanner) next() (token, string, error) {
	if err := s.skip(); err != nil {
		return 0, "", err
	}
	if s.at == len(s.text) {
		return tokenEnd, "", nil
	}
	c := s.text[s.at]
	switch {
	case c == '\'' || c == '"' || c == '`' && s.driver != Postgres || c == '[' && s.driver == SQLite:
		return tokenOther, "", s.quoted(c, s.escapes(c))
	case wordStart(c):
		word := s.word()
		if next := s.peek(0); s.driver == Postgres && next == '\'' && (word == "e" || word == "E") {
			return tokenOther, "", s.quoted('\'', true)
		}
		return tokenWord, word, nil
	case c >= '0' && c <= '9':
		s.word()
		return tokenOther, "", nil
	case c == '$' && s.driver == Postgres:
		return s.dollar()
	case c == '?' && s.driver != Postgres:
		s.at++
		if next := s.peek(0); next >= '0' && next <= '9' {
			return 0, "", errors.New("numbered placeholders (?1) are refused: use ?")
		}
		return tokenParam, "", nil
	case s.driver == SQLite && (c == ':' || c == '@' || c == '$' || c == '#'):
		return 0, "", fmt.Errorf("%q begins a named placeholder: use ?", c)
	case s.driver == MySQL && c == '@':
		return 0, "", errors.New("variables (@) are refused: they outlast the use of the statement")
	case c == ';':
		s.at++
		return tokenSemicolon, "", nil
	case c == '(':
		s.at++
		return tokenOpen, "", nil
	case c == '{' || c == '}':
		return 0, "", fmt.Errorf("%q stands outside of quotes and belongs to no choice", c)
	}
	s.at++
	return tokenOther, "", nil
}

// escapes reports whether a backslash escapes inside the quote. Postgres is always used with
// standard_conforming_strings, MySQL always without NO_BACKSLASH_ESCAPES.
func (s *scanner) escapes(quote byte) bool {
	return s.driver == MySQL && quote != '`'
}

func (s *scanner) peek(n int) byte {
	if s.at+n < len(s.text) {
		return s.text[s.at+n]
	}
	return 0
}

// skip passes white space and comments. Comments that a server may run are refused.
func (s *scanner) skip() error {
	for s.at < len(s.text) {
		c, next := s.text[s.at], s.peek(1)
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			s.at++
		case c == '-' && next == '-', c == '#' && s.driver == MySQL:
			if third := s.peek(2); s.driver == MySQL && c == '-' && third != 0 && third > ' ' {
				return errors.New("write a space behind --: MySQL reads it as two signs otherwise")
			}
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.at = len(s.text)
				return nil
			}
			s.at += end
		case c == '/' && next == '*':
			if err := s.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (s *scanner) comment() error {
	if third := s.peek(2); s.driver == MySQL && (third == '!' || third == 'M' || third == '+') {
		return errors.New("comments that MySQL runs (/*!) are refused")
	}
	depth := 0
	for s.at < len(s.text) {
		switch {
		case s.text[s.at] == '/' && s.peek(1) == '*' && (depth == 0 || s.driver == Postgres):
			depth++
			s.at += 2
		case s.text[s.at] == '*' && s.peek(1) == '/':
			depth--
			s.at += 2
			if depth == 0 {
				return nil
			}
		default:
			s.at++
		}
	}
	return errors.New("a comment does not end")
}

// quoted passes a quoted text, in which the quote stands for itself when it is doubled.
func (s *scanner) quoted(quote byte, backslash bool) error {
	end := quote
	if quote == '[' {
		end = ']'
	}
	for s.at++; s.at < len(s.text); s.at++ {
		switch {
		case s.text[s.at] == '\\' && backslash:
			s.at++
		case s.text[s.at] == end && s.peek(1) == end && quote != '[':
			s.at++
		case s.text[s.at] == end:
			s.at++
			return nil
		}
	}
	return fmt.Errorf("%q opens a quote that does not end", quote)
}

// dollar reads $1 or a text in dollar quotes.
func (s *scanner) dollar() (token, string, error) {
	if s.at > 0 && wordByte(s.text[s.at-1]) {
		return 0, "", errors.New("write a space before $: within a word it would belong to the word")
	}
	rest := s.text[s.at+1:]
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	if n > 0 {
		s.at += 1 + n
		return tokenParam, rest[:n], nil
	}
	tag, _, found := strings.Cut(rest, "$")
	if !found || strings.IndexFunc(tag, func(r rune) bool { return r > 127 || !wordByte(byte(r)) }) >= 0 {
		return 0, "", errors.New("$ begins neither a placeholder nor a quote")
	}
	tag = "$" + tag + "$"
	end := strings.Index(s.text[s.at+len(tag):], tag)
	if end < 0 {
		return 0, "", errors.New("a dollar quote does not end")
	}
	s.at += len(tag) + end + len(tag)
	return tokenOther, "", nil
}

func (s *scanner) word() string {
	start := s.at
	for s.at < len(s.text) && wordByte(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

func wordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// wordByte leaves out $, which some drivers allow within words: after it a word ends early,
// and what follows is read as a placeholder or refused.
func wordByte(c byte) bool { return wordStart(c) || c >= '0' && c <= '9' }
