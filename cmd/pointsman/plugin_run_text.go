package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"pointsman/host/sandbox"
)

// faulty says which calls did not go as recorded: what they used says nothing then.
func faulty(r *runResult) error {
	var lines []string
	for _, call := range r.Calls {
		for _, f := range call.Faults {
			lines = append(lines, call.Name+": "+f)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return &codedError{code: exitFailed, result: r, err: fmt.Errorf("%s\n%s", count(len(lines), "fault"), strings.Join(lines, "\n"))}
}

// playedText is the output of one call, or a line for each of several.
func playedText(r *runResult) string {
	if len(r.Calls) == 1 {
		return printableLines(r.Calls[0].Output + r.Calls[0].Error)
	}
	var b strings.Builder
	for _, call := range r.Calls {
		what := "answered"
		if call.Error != "" {
			what = "failed as recorded"
		}
		fmt.Fprintf(&b, "ok  %s  %s %s, %s\n", filepath.Base(call.Name), call.Function, what, count(call.Uses, "use"))
	}
	return b.String()
}

// printableLines is a plugin's text for a terminal, line by line.
func printableLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		b.WriteString(sandbox.Printable(strings.TrimRight(line, "\n")) + "\n")
	}
	return b.String()
}

func lessonText(r *runResult, manifests string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Learned from %s of %s.\n%s", count(len(r.Calls), "call"), r.Plugin, r.Manifest)
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "# %s:\n", title)
			for _, line := range lines {
				fmt.Fprintf(&b, "#   %s\n", sandbox.Printable(line)) // a plugin chose some of the words
			}
		}
	}
	list("Used, and not wanted by its author, so that no broker would grant it", r.Lesson.Beyond)
	list("Wanted by its author, and not used by any call", r.Lesson.Wanted)
	list("Granted in "+manifests+", and not needed by any call", r.Lesson.Granted)
	list("Used, and not granted in "+manifests, r.Lesson.Missing)
	return b.String()
}
