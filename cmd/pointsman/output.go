package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host/manifest"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// envelope is what every command prints with --json.
type envelope struct {
	Command string `json:"command"`
	OK      bool   `json:"ok"`
	Summary string `json:"summary"`
	Result  any    `json:"result,omitempty"`
	Error   *fault `json:"error,omitempty"`
}

type fault struct {
	Message  string    `json:"message"`
	Findings []finding `json:"findings,omitempty"`
}

// finding is one thing that is wrong with what was given.
type finding struct {
	Severity   string `json:"severity"`
	Code       string `json:"code"`
	Message    string `json:"message"`
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
	Column     int    `json:"column,omitempty"`
	Path       string `json:"path,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

// done reports a success: text for people, or the envelope with result.
func (s streams) done(cmd *cobra.Command, summary string, result any, text string) error {
	if asJSON(cmd) {
		return s.envelope(envelope{Command: cmd.CommandPath(), OK: true, Summary: summary, Result: result})
	}
	if text == "" {
		text = summary + "\n"
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// finish reports a failure, if there was one, and returns the exit code.
func (s streams) finish(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	if asJSON(cmd) {
		f := &fault{Message: firstLine(err.Error()), Findings: findings(err)}
		e := envelope{Command: cmd.CommandPath(), Summary: f.Message, Error: f}
		if coded, ok := errors.AsType[*codedError](err); ok {
			e.Result = coded.result
		}
		if werr := s.envelope(e); werr != nil {
			return exitFailed
		}
		return exitCode(err)
	}
	if faults, ok := errors.AsType[manifest.Faults](err); ok {
		for _, f := range faults {
			fmt.Fprintln(s.err, f.Error())
		}
		fmt.Fprintf(s.err, "pointsman: %s\n", count(len(faults), "fault"))
		return exitCode(err)
	}
	fmt.Fprintf(s.err, "pointsman: %v\n", err)
	return exitCode(err)
}

func (s streams) envelope(e envelope) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

func findings(err error) []finding {
	faults, ok := errors.AsType[manifest.Faults](err)
	if !ok {
		return nil
	}
	list := make([]finding, len(faults))
	for i, f := range faults {
		list[i] = finding{
			Severity: string(f.Severity), Code: string(f.Code), Message: f.Message, File: f.File,
			Line: f.Line, Column: f.Column, Path: f.Path, Suggestion: f.Suggestion,
		}
	}
	return list
}

func asJSON(cmd *cobra.Command) bool {
	if cmd == nil {
		return false
	}
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
