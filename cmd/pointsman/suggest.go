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
		Short: "Turn recorded refusals into the smallest grant that would allow them",
		Long: `Reads what plugins were refused from the audit log, checks its chain, and prints for each
plugin or route of the manifests in DIR the YAML that would have to be added, and what that
would newly open. It says what could be granted; whether it should be is for the reader.
What was refused for another reason than a grant, or cannot be told from the record, is
listed with the reason. Without DIR the present folder is read (POINTSMAN_MANIFESTS).`,
		Example: "  pointsman suggest manifests/demo --modules bin/plugins --data /var/lib/pointsman",
		Args:    atMostOne("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			survey, err := s.survey(folderArg(args), modules)
			if err != nil {
				return err
			}
			refusals, err := readRefusals(filepath.Join(c.Data, audit.FileName))
			if err != nil {
				return err
			}
			advice, err := reach.Suggest(survey.Set, survey.Modules, refusals)
			if err != nil {
				return err
			}
			return s.done(cmd, fmt.Sprintf("%s for %s", count(len(advice.Suggestions), "suggestion"), count(len(refusals), "kind")+" of refusal"), advice, adviceText(advice))
		},
	}
	cmd.Flags().StringVar(&modules, "modules", fromEnv("MODULES", ""), "folder of plugin modules; default: DIR (POINTSMAN_MODULES)")
	cmd.Flags().StringVar(&c.Data, "data", fromEnv("DATA", "pointsman-data"), "folder of the broker's state (POINTSMAN_DATA)")
	return cmd
}

// readRefusals counts the refusals in an audit log whose chain holds, in the order in which
// they first came.
func readRefusals(path string) ([]reach.Refusal, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	type key struct{ plugin, route, capability, op, resource, labels, reason string }
	at := map[key]int{}
	var out []reach.Refusal
	report, err := audit.Uses(f, func(_ time.Time, u audit.Use) {
		if u.Decision != audit.Denied {
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
	})
	if err != nil {
		return nil, err
	}
	if report.Bad != nil && report.Torn == 0 {
		return nil, refused(fmt.Errorf("%s: the chain breaks at line %d: %s; nothing is suggested from a log that was changed", path, report.Bad.Line, report.Bad.Reason))
	}
	return out, nil
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
