package host_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// openers are the functions that may see the bytes of a secret, and why each has to. Who
// adds one says what it does with them, and wipes them.
var openers = map[string]string{
	"host/credential Parts.openAll":     "the way of every placement; its callers wipe",
	"host/deploy Opener.certificate":    "the client certificate's key goes into crypto/tls; wiped here",
	"host/deploy Opener.lines":          "the gateway's secrets, which host/gateway copies; its callers wipe",
	"host/secret Value.Replacing":       "copies of what was replaced, for who redacts",
	"host/secret/vault placement.plain": "the token of Vault goes into Vault's header; Wipe clears it",
}

// makers are the functions outside of host/secret that may make a Value: those of providers.
var makers = map[string]string{
	"host/secret/plain Env.Get":             "out of the environment, for development",
	"host/secret/plain Dir.Get":             "out of a file, for development",
	"host/secret/vault Client.authenticate": "the token that Vault's login gave",
	"host/secret/vault Client.keep":         "what Vault keeps",
}

// testParts are packages that only tests use.
var testParts = []string{"host/secret/secrettest", "host/secret/vault/vaulttest", "host/capability/capabilitytest"}

// TestLintSecretUse is the linter's rule that SECURITY-RULES §4.1 asks for: secrets are
// made and opened in the places above only, and nothing that holds one is given to what
// makes text of it. That it would print as [secret] is the second line of defence.
func TestLintSecretUse(t *testing.T) {
	h := newHouse()
	allowed := map[string]map[string]string{opening: openers, making: makers} // printing: nobody
	seen := map[string]bool{}
	for _, pkg := range h.packages(t) {
		if slices.Contains(testParts, pkg) {
			continue
		}
		for _, u := range h.uses(pkg) {
			if allowed[u.what][u.where] == "" {
				t.Errorf("%s: %s %s", u.pos, u.where, u.what)
			}
			seen[u.where] = true
		}
	}
	for _, where := range slices.Concat(slices.Collect(maps.Keys(openers)), slices.Collect(maps.Keys(makers))) {
		if !seen[where] {
			t.Errorf("%s is allowed what it does not do; take it off the list", where)
		}
	}
}

// TestLintSecretUseFinds shows the rule what it forbids.
func TestLintSecretUseFinds(t *testing.T) {
	const head = `package example
import ("encoding/json"; "fmt"; "log/slog"; "reflect"; s "pointsman/host/secret")
type login struct { user string; token s.Value }
type deep struct { all map[string][]*login }
type safe struct { name string; open func() s.Value }
var _ = []any{json.Marshal, fmt.Sprint, slog.Info, reflect.ValueOf}
`
	tests := []struct{ name, code, want string }{
		{"a call", `func f(v s.Value) []byte { return v.Expose() }`, opening},
		{"a method value", `func f(v s.Value) func() []byte { return v.Expose }`, opening},
		{"a method expression", `var f = s.Value.Expose`, opening},
		{"former ones", `func (l login) f() { l.token.Former() }`, opening},
		{"by an interface", `func f(v interface{ Expose() []byte }) { v.Expose() }`, opening},
		{"by reflection", `func f(v any) { reflect.ValueOf(v).MethodByName("Expose").Call(nil) }`, opening},
		{"making", `func f(b []byte) s.Value { return s.Take(b) }`, making},
		{"taking the maker", `var f = s.Take`, making},
		{"fmt", `func f(v s.Value) string { return fmt.Sprint("x", v) }`, printing},
		{"fmt of a struct", `func f(v login) error { return fmt.Errorf("%+v", v) }`, printing},
		{"fmt of what it points to", `func f(v *deep) { fmt.Println(v) }`, printing},
		{"fmt of a list", `func f(v ...s.Value) { fmt.Println(v) }`, printing},
		{"slog", `func f(v login) { slog.Info("m", "login", v) }`, printing},
		{"a logger", `func f(l *slog.Logger, v login) { l.Warn("m", "login", v) }`, printing},
		{"an attribute", `func f(v login) slog.Attr { return slog.Any("login", v) }`, printing},
		{"JSON", `func f(v []login) { json.Marshal(v) }`, printing},
		{"a value of a local function", `func g() login { return login{} }; func f() { fmt.Println(g()) }`, printing},
		{"names", `func f(v login) error { return fmt.Errorf("%s %v", v.user, safe{}) }`, ""},
		{"handing on", `func f(v login) s.Value { return v.token }`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse()
			h.add("host/example", head+tt.code)
			var got []string
			for _, u := range h.uses("host/example") {
				got = append(got, u.what)
			}
			got = slices.Compact(got)
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || got[0] != tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// What the rule looks for.
const (
	opening  = "opens a secret (Expose, Former)"
	making   = "makes a secret (secret.Take)"
	printing = "gives something that holds a secret to what makes text of it"
)

// textMakers are the packages whose functions make text or bytes of whatever they are given.
var textMakers = []string{"fmt", "log", "log/slog", "errors", "reflect", "encoding/json", "encoding/gob", "encoding/xml", "text/template", "html/template",
	"github.com/go-json-experiment/json", "go.yaml.in/yaml/v4"}

// logMethods are those of *slog.Logger and *log.Logger.
var logMethods = []string{"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext", "Log", "LogAttrs", "With", "Print", "Printf", "Println"}

// use is one place that the rule looks at.
type use struct {
	pos   token.Position
	where string // package and function
	what  string
}

// house has the syntax and types of our own packages. What others declare has no type in
// it: a struct of ours that holds a secret has one all the same.
type house struct {
	fset  *token.FileSet
	files map[string][]*ast.File
	types map[string]*types.Package
	info  map[string]*types.Info
}

func newHouse() *house {
	return &house{token.NewFileSet(), map[string][]*ast.File{}, map[string]*types.Package{}, map[string]*types.Info{}}
}

// packages are all that have code for this system outside of tests.
func (h *house) packages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, top := range []string{"host", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return filepath.SkipDir
			}
			pkg := filepath.ToSlash(strings.TrimPrefix(p, ".."+string(filepath.Separator)))
			if h.load(pkg); len(h.files[pkg]) > 0 {
				all = append(all, pkg)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 20 {
		t.Fatalf("read %d packages, which cannot be all of them", len(all))
	}
	return all
}

// load parses a package's files for this system, once.
func (h *house) load(pkg string) {
	if _, ok := h.files[pkg]; ok {
		return
	}
	h.files[pkg] = nil
	dir := filepath.Join("..", filepath.FromSlash(pkg))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // not ours
	}
	for _, e := range entries {
		if ok, err := build.Default.MatchFile(dir, e.Name()); err != nil || !ok || strings.HasSuffix(e.Name(), "_test.go") || !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		if body, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			h.parse(pkg, filepath.Join(dir, e.Name()), string(body))
		}
	}
}

func (h *house) add(pkg, body string) { h.parse(pkg, pkg+".go", body) }

func (h *house) parse(pkg, name, body string) {
	if f, err := parser.ParseFile(h.fset, name, body, parser.SkipObjectResolution); err == nil { // else the build says so
		h.files[pkg] = append(h.files[pkg], f)
	}
}

// Import implements types.Importer. What is not ours is an empty package of the right name.
func (h *house) Import(full string) (*types.Package, error) {
	if p, ok := h.types[full]; ok {
		return p, nil
	}
	pkg, ours := strings.CutPrefix(full, "pointsman/")
	if !ours {
		name := path.Base(full)
		if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(full))
		}
		p := types.NewPackage(full, name)
		p.MarkComplete()
		h.types[full] = p
		return p, nil
	}
	h.load(pkg)
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	config := types.Config{Importer: h, Error: func(error) {}} // of what has no type here
	p, _ := config.Check(full, h.fset, h.files[pkg], info)
	h.types[full], h.info[pkg] = p, info
	return p, nil
}

// uses are all that a package does of what the rule looks for.
func (h *house) uses(pkg string) []use {
	_, _ = h.Import("pointsman/" + pkg) // never fails
	info := h.info[pkg]
	var found []use
	for _, f := range h.files[pkg] {
		for _, decl := range f.Decls {
			note := func(n ast.Node, what string) {
				found = append(found, use{h.fset.Position(n.Pos()), pkg + " " + nameOf(decl), what})
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					selected := info.Selections[n]
					if field := selected != nil && selected.Kind() == types.FieldVal; !field && (n.Sel.Name == "Expose" || n.Sel.Name == "Former") {
						note(n, opening)
					}
					if n.Sel.Name == "Take" && packageOf(info, n) == "pointsman/host/secret" {
						note(n, making)
					}
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && (text == "Expose" || text == "Former") {
						note(n, opening)
					}
				case *ast.CallExpr:
					if makesText(info, n) && slices.ContainsFunc(n.Args, func(arg ast.Expr) bool { return holds(info.Types[arg].Type, nil) }) {
						note(n, printing)
					}
				}
				return true
			})
		}
	}
	slices.SortFunc(found, func(a, b use) int { return cmp.Compare(a.pos.Offset, b.pos.Offset) })
	return found
}

// nameOf is the name of a declared function, with its receiver's type.
func nameOf(decl ast.Decl) string {
	f, ok := decl.(*ast.FuncDecl)
	if !ok {
		return "(no function)"
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	return fmt.Sprintf("%s.%s", types.ExprString(receiver), f.Name.Name)
}

// packageOf is the path of the package that s takes a name from, "" if it is not one.
func packageOf(info *types.Info, s *ast.SelectorExpr) string {
	id, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	if name, ok := info.Uses[id].(*types.PkgName); ok {
		return name.Imported().Path()
	}
	return ""
}

func makesText(info *types.Info, call *ast.CallExpr) bool {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if from := packageOf(info, s); from != "" {
		return slices.Contains(textMakers, from)
	}
	return slices.Contains(logMethods, s.Sel.Name)
}

// holds reports whether a value of type t has a secret.Value in it that fmt could come by.
func holds(t types.Type, above []types.Type) bool {
	if t == nil || slices.Contains(above, t) {
		return false
	}
	above = append(above, t)
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if o := named.Obj(); o.Pkg() != nil && o.Pkg().Path() == "pointsman/host/secret" && o.Name() == "Value" {
			return true
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		return holds(u.Elem(), above)
	case *types.Slice:
		return holds(u.Elem(), above)
	case *types.Array:
		return holds(u.Elem(), above)
	case *types.Map:
		return holds(u.Key(), above) || holds(u.Elem(), above)
	case *types.Struct:
		for f := range u.Fields() {
			if holds(f.Type(), above) {
				return true
			}
		}
	}
	return false
}
