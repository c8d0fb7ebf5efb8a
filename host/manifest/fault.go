package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severities of a Fault.
const (
	SeverityError   = "error"   // the set cannot be deployed
	SeverityWarning = "warning" // it can, but it is probably not what was meant
)

// Fault is one thing that is wrong with a document, and where.
type Fault struct {
	Severity     string // SeverityError or SeverityWarning
	Code         string // stable; see Codes
	Message      string // what was expected, and what was found; never a value of a secret
	File         string // slash-separated, relative to the root
	Line, Column int    // from 1; 0 where the whole file is meant
	Path         string // "spec.steps.crm.with.id"; empty where there is none
	Suggestion   string // the nearest valid word; empty where none is near
}

// Error returns "file:line:column: message", with the suggestion if there is one.
func (f Fault) Error() string {
	s := Pos{f.File, f.Line, f.Column}.String() + ": " + f.Message
	if f.Severity == SeverityWarning {
		s = Pos{f.File, f.Line, f.Column}.String() + ": warning: " + f.Message
	}
	if f.Suggestion != "" {
		s += fmt.Sprintf(" (did you mean %q?)", f.Suggestion)
	}
	return s
}

// Faults is every fault of a run, sorted by place. As an error, a nil Faults inside a
// non-nil interface is the usual trap: use Err.
type Faults []Fault

// Error returns one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// HasErrors reports whether one of the faults is more than a warning.
func (fs Faults) HasErrors() bool {
	return slices.ContainsFunc(fs, func(f Fault) bool { return f.Severity != SeverityWarning })
}

// Err returns fs if it has errors, else nil.
func (fs Faults) Err() error {
	if fs.HasErrors() {
		return fs
	}
	return nil
}

func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}
