package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pointsman/host"
	"pointsman/host/audit"
	"pointsman/host/reach"
)

func newSuggest(s streams) *cobra.Command {
	var c host.Config
	var modules string
	cmd := &cobra.Command{
		Use:   "suggest [DIR]",
		Short: "Turn recorded refusals into the smallest grants, and name grants that nobody uses",
		Long: `Reads what plugins were refused from the audit log, checks its chain, and prints for each
plugin or route of the manifests in DIR the YAML that would have to be added, and what that
would newly open. It says what could be granted; whether it should be is for the reader.
What was refused for another reason than a grant, or cannot be told from the record, is
listed with the reason.

Then it names what plugins are granted and, as the log says, have not used since they were
given these grants: rules, statements, functions, domains and kv. Of query parameters, headers
and the log nothing is recorded. Without DIR the present folder is read (POINTSMAN_MANIFESTS).`,
		Example: "  pointsman suggest manifests/demo --modules bin/plugins --data /var/lib/pointsman",
		Args:    atMostOne("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			survey, err := s.survey(folderArg(args), modules)
			if err != nil {
				return err
			}
			refusals, history, err := readUses(filepath.Join(c.Data, audit.FileName))
			if err != nil {
				return err
			}
			advice, err := reach.Suggest(survey.Set, survey.Modules, refusals)
			if err != nil {
				return err
			}
			result := suggestResult{Advice: advice}
			result.Unused, result.Untold = history.Unused(survey.Set)
			summary := fmt.Sprintf("%s for %s, %s with unused grants", count(len(advice.Suggestions), "suggestion"),
				count(len(refusals), "kind")+" of refusal", count(len(result.Unused), "plugin"))
			return s.done(cmd, summary, result, adviceText(advice)+unusedText(result))
		},
	}
	cmd.Flags().StringVar(&modules, "modules", fromEnv("MODULES", ""), "folder of plugin modules; default: DIR (POINTSMAN_MODULES)")
	cmd.Flags().StringVar(&c.Data, "data", fromEnv("DATA", "pointsman-data"), "folder of the broker's state (POINTSMAN_DATA)")
	return cmd
}

// suggestResult is what suggest answers with --json.
type suggestResult struct {
	*reach.Advice
	Unused []reach.Unused `json:"unused"`
	Untold []string       `json:"untold"` // plugins of whose grants the log tells nothing, each with a sentence
}

// readUses counts the refusals in an audit log whose chain holds, in the order in which they
// first came, and keeps what was granted and used.
func readUses(path string) ([]reach.Refusal, *reach.History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	type key struct{ plugin, route, capability, op, resource, labels, reason string }
	at := map[key]int{}
	var out []reach.Refusal
	history := new(reach.History)
	report, err := audit.Records(f, func(_ time.Time, u audit.Use) {
		if u.Decision != audit.Denied {
			history.Use(reach.Use{Plugin: u.Plugin, Capability: u.Capability, Op: u.Op, Resource: u.Resource})
			return
		}
		k := key{u.Plugin, "", u.Capability, u.Op, u.Resource, u.Labels, u.Reason}
		if u.Capability == "answer" {
			k.route = u.Route
		}
		if i, ok := at[k]; ok {
			out[i].Count++
			return
		}
		at[k] = len(out)
		r := reach.Refusal{Plugin: u.Plugin, Route: k.route, Capability: u.Capability, Op: u.Op, Resource: u.Resource, Reason: u.Reason, Count: 1}
		if u.Labels != "" {
			r.Labels = strings.Split(u.Labels, ", ")
		}
		out = append(out, r)
	}, func(at time.Time, c audit.Control) {
		if plugin, ok := strings.CutPrefix(c.Object, "plugin "); ok && c.Action == "approve" {
			history.Approve(at, plugin, c.Detail["grant"])
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if report.Bad != nil && report.Torn == 0 {
		return nil, nil, refused(fmt.Errorf("%s: the chain breaks at line %d: %s; nothing is suggested from a log that was changed", path, report.Bad.Line, report.Bad.Reason))
	}
	return out, history, nil
}

func unusedText(r suggestResult) string {
	var b strings.Builder
	for _, u := range r.Unused {
		what := "has not used"
		if u.Idle {
			what = "has used nothing that it was granted"
		}
		fmt.Fprintf(&b, "# Since %s plugin %s %s\n", u.Since.UTC().Format(time.RFC3339), u.Plugin, what)
		for _, g := range u.Grants {
			fmt.Fprintf(&b, "#   %s\n", g)
		}
	}
	if len(r.Untold) > 0 {
		b.WriteString("# Of these nothing can be told:\n")
		for _, line := range r.Untold {
			fmt.Fprintf(&b, "#   %s\n", line)
		}
	}
	return b.String()
}

func adviceText(a *reach.Advice) string {
	var b strings.Builder
	for _, s := range a.Suggestions {
		fmt.Fprintf(&b, "# %s was refused:\n", s.Document)
		for _, line := range s.Refused {
			fmt.Fprintf(&b, "#   %s\n", line)
		}
		if len(s.Opens) == 0 {
			b.WriteString("# Nothing else would be opened by this:\n")
		} else {
			b.WriteString("# What this would newly open:\n")
			for _, line := range s.Opens {
				fmt.Fprintf(&b, "#   %s\n", line)
			}
		}
		fmt.Fprintf(&b, "# Lists hold what is to be added to those that are there.\n%s\n", s.YAML)
	}
	if len(a.Silent) > 0 {
		b.WriteString("# Refused, and nothing is suggested:\n")
		for _, line := range slices.Sorted(slices.Values(a.Silent)) {
			fmt.Fprintf(&b, "#   %s\n", line)
		}
	}
	if b.Len() == 0 {
		return "nothing was refused\n"
	}
	return b.String()
}
