package host_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the map of the house: a package imports packages of lower layers only, never
// of its own. docs/ARCHITECTURE.md draws it.
var layers = map[string]int{
	"pdk/wire":                       0,
	"host/broker":                    0,
	"host/manifest":                  1,
	"host/grant":                     1,
	"host/view":                      1,
	"host/secret":                    1,
	"host/pointer":                   1,
	"host/kv":                        1,
	"host/secret/plain":              2,
	"host/secret/vault":              2,
	"host/secret/vault/vaulttest":    2,
	"host/secret/secrettest":         2,
	"host/egress":                    1,
	"host/credential":                1,
	"host/audit":                     1,
	"host/consumer":                  1,
	"host/token":                     1,
	"host/clientcert":                1,
	"host/gateway":                   2,
	"host/sqldb":                     1,
	"host/wasm":                      1,
	"host/admission":                 1,
	"host/sandbox":                   2,
	"host/parcel":                    2,
	"host/pipeline":                  3,
	"host/reach":                     2,
	"host/capability":                3,
	"host/capability/capabilitytest": 4, // tests of layer 4 may use it: see sideways
	"host/capability/callcap":        4,
	"host/capability/httpcap":        4,
	"host/capability/kvcap":          4,
	"host/capability/logcap":         4,
	"host/capability/parcelcap":      4,
	"host/capability/sqlcap":         4,
	"host/capability/pointercap":     4,
	"host/rehearse":                  4,
	"host/deploy":                    5,
	"host/rest":                      6,
	"host/adminsock":                 6,
	"host":                           7,
	"cmd/backends/sim":               6,
	"cmd/backends/store":             7,
	"cmd/pointsman":                  8,
	"cmd/backends":                   8,
	"cmd/bench":                      8,
}

// owners are the packages that alone may import a big dependency.
var owners = map[string][]string{
	"github.com/tetratelabs/wazero": {"host/sandbox"},
	"github.com/extism/go-sdk":      {"host/sandbox", "cmd/bench"}, // bench measures the naive way
	"github.com/tink-crypto":        {"host/secret"},
	"github.com/labstack/echo":      {"host/rest"},
	"go.yaml.in/yaml":               {"host/manifest"},
	"net/http/cookiejar":            {},
	"net/http/pprof":                {},
	"golang.org/x/crypto/argon2":    {"host/secret"},
	"golang.org/x/term":             {"cmd/pointsman"},
	"modernc.org/sqlite":            {"host/sqldb", "host/kv", "cmd/backends/store"},
	"unsafe":                        {"pdk", "host/sandbox"},
	"plugin":                        {},
	"github.com/spf13/cobra":        {"cmd/pointsman"},
	"github.com/santhosh-tekuri":    {"host/manifest"},
	"github.com/go-json-experiment": nil, // anyone in host; see std for pdk
	"github.com/failsafe-go":        {"host/admission", "host/egress"},
	"code.dny.dev/ssrf":             {"host/egress"},
	"golang.org/x/time/rate":        {"host/consumer", "host/egress"},
	"github.com/go-jose":            {"host/credential", "host/token"},
	"github.com/zitadel":            {}, // the provider that issues the tokens of host/token's tests
	"github.com/aws":                {"host/credential"},
	"golang.org/x/oauth2":           {}, // what host/credential is compared with in its tests
	"github.com/jackc":              {"host/sqldb", "cmd/backends/store"},
	"github.com/go-sql-driver":      {"host/sqldb"},
	"modernc.org/libc":              {"host/sqldb"},
	"database/sql":                  {"host/sqldb", "host/kv", "cmd/backends/store"},
	"github.com/testcontainers":     {}, // the databases of host/sqldb's tests
	"github.com/Shopify/toxiproxy":  {}, // the bad network of host/egress's tests
}

// engines may not even be used by tests of other packages: what they need to know of a
// running guest, the sandbox's tests know.
var engines = map[string]bool{"github.com/tetratelabs/wazero": true, "github.com/extism/go-sdk": true}

type goFile struct {
	pkg, name string
	test      bool
	imports   []string
	doc       string
	body      string
}

func TestLayers(t *testing.T) {
	for _, f := range readFiles(t) {
		from, known := layers[f.pkg]
		if !known && (strings.HasPrefix(f.pkg, "host") || strings.HasPrefix(f.pkg, "cmd/pointsman")) && !strings.Contains(f.pkg, "testdata") {
			t.Errorf("%s/%s: package has no layer; add it to the map and to docs/ARCHITECTURE.md", f.pkg, f.name)
		}
		for _, imp := range f.imports {
			to, ours := strings.CutPrefix(imp, "pointsman/")
			if !ours || to == f.pkg {
				continue
			}
			layer, ok := layers[to]
			if known && ok && layer >= from && !sideways(f, to) {
				t.Errorf("%s/%s (layer %d) imports %s (layer %d)", f.pkg, f.name, from, to, layer)
			}
			if strings.HasPrefix(f.pkg, "plugins/") && !strings.HasPrefix(to, "pdk") && !strings.HasPrefix(to, strings.TrimSuffix(f.pkg, "-blind")) {
				t.Errorf("%s/%s imports %s; a plugin imports pdk only", f.pkg, f.name, imp)
			}
			if strings.HasPrefix(f.pkg, "pdk") && !strings.HasPrefix(to, "pdk") {
				t.Errorf("%s/%s imports %s; pdk imports nothing of the host", f.pkg, f.name, imp)
			}
		}
	}
}

// sideways allows a test what production code may not do: capabilities share a suite, and
// a test of a higher layer may bring the parts it runs.
func sideways(f goFile, to string) bool {
	return f.test && (to == "host/capability/capabilitytest" || layers[to] <= layers[f.pkg])
}

func TestPDKImportsStandardLibraryOnly(t *testing.T) {
	for _, f := range readFiles(t) {
		if !strings.HasPrefix(f.pkg, "pdk") && !strings.HasPrefix(f.pkg, "plugins") || f.test {
			continue
		}
		for _, imp := range f.imports {
			first, _, _ := strings.Cut(imp, "/")
			if strings.Contains(first, ".") {
				t.Errorf("%s/%s imports %s", f.pkg, f.name, imp)
			}
		}
	}
}

func TestBigDependenciesHaveOneOwner(t *testing.T) {
	for _, f := range readFiles(t) {
		for _, imp := range f.imports {
			for dep, own := range owners {
				if own == nil || imp != dep && !strings.HasPrefix(imp, dep+"/") {
					continue
				}
				if !slices.Contains(own, f.pkg) && !(f.test && !engines[dep]) {
					t.Errorf("%s/%s imports %s; only %s may", f.pkg, f.name, imp, strings.Join(own, ", "))
				}
			}
		}
	}
}

func TestPackagesSayWhatTheyOwn(t *testing.T) {
	docs := map[string]string{}
	for _, f := range readFiles(t) {
		if f.test || f.doc == "" {
			continue
		}
		docs[f.pkg] = f.doc
	}
	for pkg := range layers {
		base := path.Base(pkg)
		want := "Package " + base + " owns "
		if strings.HasPrefix(pkg, "cmd/") && base != "sim" && base != "store" {
			want = "Command " + base + " "
		}
		doc, ok := docs[pkg]
		if !ok {
			t.Errorf("%s has no package comment", pkg)
			continue
		}
		if !strings.HasPrefix(doc, want) {
			t.Errorf("%s: the package comment starts %.60q, want %q", pkg, doc, want)
		}
	}
}

func TestNoInitNoGlobalsByImport(t *testing.T) {
	for _, f := range readFiles(t) {
		if f.test {
			continue
		}
		if strings.Contains(f.body, "\nfunc init()") {
			t.Errorf("%s/%s has an init function", f.pkg, f.name)
		}
		if b := path.Base(f.pkg); slices.Contains([]string{"util", "utils", "common", "types", "helpers", "models"}, b) {
			t.Errorf("%s: a package is a noun that owns something", f.pkg)
		}
	}
}

// readFiles parses every Go file of the project. It reads the files themselves, so that
// the test cache sees them change.
func readFiles(t *testing.T) []goFile {
	t.Helper()
	root := ".."
	var files []goFile
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() {
			if n := d.Name(); rel != "." && (strings.HasPrefix(n, ".") || n == "node_modules" || n == "bin" || n == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		body, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, body, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		f := goFile{pkg: filepath.ToSlash(filepath.Dir(rel)), name: d.Name(), test: strings.HasSuffix(p, "_test.go"), body: string(body)}
		if parsed.Doc != nil {
			f.doc = parsed.Doc.Text()
		}
		for _, imp := range parsed.Imports {
			s, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, s)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("read %d files, which cannot be all of them", len(files))
	}
	return files
}
