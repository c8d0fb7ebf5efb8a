package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pointsman/host/deploy"
	"pointsman/host/manifest"
	"pointsman/host/reach"
)

type reachConfig struct {
	modules, whoCanSee, from, assert, svg string
}

func newReach(s streams) *cobra.Command {
	var c reachConfig
	cmd := &cobra.Command{
		Use:   "reach [DIR]",
		Short: "Show who can reach and see what, from the manifests alone",
		Long: `Reads the manifests in DIR, and the modules where they are, and shows who can reach what:
consumer, route, step, plugin, back end with method and path or statement, secret use, and
the fields and labels that can come back. It is an upper bound: a plugin is taken for the
worst that its grants and its module's imports let it be. Nothing is run, opened or asked.

--who-can-see takes BACKEND.PATH, BACKEND.STATEMENT.PATH, a label such as pii.contact,
pointer:DOMAIN or param:ROUTE.NAME, and prints each way by which somebody can.
--assert checks a file of claims; exit code 2, and a way, when one does not hold.
Without DIR the present folder is read (POINTSMAN_MANIFESTS).`,
		Example: `  pointsman reach manifests/demo --modules bin/plugins
  pointsman reach manifests/demo --modules bin/plugins --who-can-see pii.contact
  pointsman reach manifests/demo --modules bin/plugins --from "plugin profile"
  pointsman reach manifests/demo --modules bin/plugins --assert claims.yaml`,
		Args: atMostOne("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return s.reach(cmd, c, folderArg(args)) },
	}
	f := cmd.Flags()
	f.StringVar(&c.modules, "modules", fromEnv("MODULES", ""), "folder of plugin modules; default: DIR (POINTSMAN_MODULES)")
	f.StringVar(&c.whoCanSee, "who-can-see", "", "a field, label, pointer or parameter: print who can see it, and how")
	f.StringVar(&c.from, "from", "", `only what begins at "plugin NAME" or "consumer NAME"`)
	f.StringVar(&c.assert, "assert", "", "file of claims that must hold")
	f.StringVar(&c.svg, "svg", "", "write a drawing to this file; - for standard output")
	return cmd
}

func (s streams) reach(cmd *cobra.Command, c reachConfig, dir string) error {
	asked := 0
	for _, flag := range []string{c.whoCanSee, c.from, c.assert} {
		if flag != "" {
			asked++
		}
	}
	if asked > 1 || c.svg != "" && c.whoCanSee+c.assert != "" {
		return refused(errors.New("--who-can-see, --from and --assert exclude each other, and only --from goes with --svg"))
	}
	if c.svg == "-" && asJSON(cmd) {
		return refused(errors.New("standard output cannot be both --json and --svg -"))
	}
	survey, err := s.survey(dir, c.modules)
	if err != nil {
		return err
	}
	g, err := survey.Graph()
	if err != nil {
		return err
	}
	switch {
	case c.whoCanSee != "":
		target, err := g.Target(c.whoCanSee)
		if err != nil {
			return refused(fmt.Errorf("--who-can-see: %w", err))
		}
		all := g.WhoCanSee(target)
		return s.done(cmd, count(len(all), "way")+" to see "+target.Text, append([]reach.Sighting{}, all...), reach.SightingsText(target, all))
	case c.assert != "":
		return s.assert(cmd, g, c.assert)
	}
	report, err := g.Report()
	if err != nil {
		return err
	}
	if c.from != "" {
		kind, name, _ := strings.Cut(c.from, " ")
		if report, err = g.From(report, reach.Subject{Kind: kind, Name: strings.TrimSpace(name)}); err != nil {
			return refused(fmt.Errorf("--from: %w", err))
		}
	}
	if c.svg == "-" {
		_, err := s.out.Write(report.SVG())
		return err
	}
	summary := fmt.Sprintf("%s, %s", count(len(report.Consumers), "consumer"), count(len(report.Plugins), "plugin"))
	if c.svg == "" {
		return s.done(cmd, summary, report, report.Text())
	}
	if err := os.WriteFile(c.svg, report.SVG(), 0o644); err != nil {
		return err
	}
	return s.done(cmd, "drew "+c.svg, report, "")
}

// assert checks a file of claims.
func (s streams) assert(cmd *cobra.Command, g *reach.Graph, file string) error {
	text, err := readText(file)
	if err != nil {
		return err
	}
	claims, faults := manifest.ParseClaims(file, text)
	if err := faults.Err(); err != nil {
		return refused(err)
	}
	failures, err := g.Check(claims)
	if err != nil {
		return refused(err)
	}
	if len(failures) == 0 {
		return s.done(cmd, "all hold: "+count(len(claims), "claim"), []reach.Failure{}, "")
	}
	lines := make([]string, len(failures))
	for i, f := range failures {
		lines[i] = f.String()
	}
	return &codedError{code: exitRefused, result: failures,
		err: fmt.Errorf("%d of %s do not hold\n%s", len(failures), count(len(claims), "claim"), strings.Join(lines, "\n"))}
}

// survey reads a folder, and tells warnings.
func (s streams) survey(dir, modules string) (*deploy.Survey, error) {
	if err := folders(dir, modules); err != nil {
		return nil, err
	}
	survey, faults := deploy.NewSurvey(source(dir, modules))
	if err := faults.Err(); err != nil {
		return nil, refused(err)
	}
	for _, f := range faults {
		fmt.Fprintln(s.err, f.Error())
	}
	return survey, nil
}

// readText reads a small file.
func readText(path string) ([]byte, error) { return readUpTo(path, manifest.MaxFileBytes) }

// readUpTo reads a file, of one that has more than most bytes one byte more than that.
func readUpTo(path string, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe would never end
		return nil, refused(errors.Join(fmt.Errorf("%s is not a file to read", path), err))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

func folderArg(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return fromEnv("MANIFESTS", ".")
}

// atMostOne is for a command whose one argument may be left out.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return refused(fmt.Errorf("%s takes at most one %s; see %s --help", cmd.CommandPath(), name, cmd.CommandPath()))
		}
		return nil
	}
}
