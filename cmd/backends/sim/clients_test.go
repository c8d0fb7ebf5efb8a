package sim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

const (
	installTime = 4 * time.Minute // 150 small packages, on a slow line
	scriptTime  = time.Minute     // the slowest waits two seconds for a retry
)

// object is what JSON objects decode to.
type object = map[string]any

// TestVendorsClients drives the vendors' own client libraries against the simulated back ends: what they cannot read,
// page through or retry is wrong here, whatever the other tests say.
func TestVendorsClients(t *testing.T) {
	if testing.Short() {
		t.Skip("installs packages from npm; not in short mode")
	}
	modules := installClients(t)
	c := customer(t, "C-100042")
	contacts, accounts := 0, 0
	for _, c := range testData().Customers() {
		if c.SquareID != "" {
			accounts++
		}
	}
	contacts = decode[queryResult](t, call(t, salesforce(), "GET", soql("SELECT Id FROM Contact"), ""), 200).TotalSize
	account := object{"id": c.SquareID, "balance": 1250.0, "lifetime": 8420.0, "phone": "+13125550142", "expiring": []any{250.0, 1000.0}}
	thrown := func(v any) object { return object{"thrown": v} }
	tests := []struct {
		server *sim.Server
		env    []string
		want   object
		last   string // how the last two requests, the refused one and its repetition, begin
	}{
		{salesforce(), []string{"CONTACT=" + c.SalesforceID}, object{
			"retrieve":           object{"id": c.SalesforceID, "name": "Amelia Hart", "city": "Chicago", "type": "Contact", "value": "number"},
			"retrieve fields":    object{"Email": "Amelia.Hart@Example.com", "Phone_E164__c": "+13125550142", "Id": c.SalesforceID},
			"external id":        c.SalesforceID,
			"query":              object{"total": 1.0, "done": true, "names": []any{"Amelia Hart"}},
			"find with a quote":  []any{"O'Brien", "O'Brien", "O'Brien", "O'Brien", "O'Brien"},
			"find by pattern":    []any{"C-100042"},
			"pages":              object{"total": float64(contacts), "distinct": float64(contacts), "first": 500.0, "pages": float64((contacts + 499) / 500)},
			"fetched by itself":  float64(contacts),
			"unknown field":      thrown("INVALID_FIELD"),
			"malformed":          thrown("MALFORMED_QUERY"),
			"not found":          thrown("NOT_FOUND"),
			"two choices":        thrown([]any{"MULTIPLE_CHOICES", 2.0}),
			"wrong token":        thrown("INVALID_SESSION_ID"),
			"client credentials": object{"origin": true, "organization": "00D", "total": 1.0},
			"wrong client":       thrown("invalid_client"),
			"after a limit":      1.0,
		}, "GET /services/data/v62.0/query?q="},
		{hubspot(), []string{"CONTACT=" + c.HubSpotID}, object{
			"get": object{"id": c.HubSpotID, "city": "Evanston", "email": "amelia.hart@example.com", "hs_email_bounce": nil, "createdate": "2022-02-01T08:00:00.000Z",
				"hs_object_id": c.HubSpotID, "lastmodifieddate": "2025-11-20T16:45:12.345Z", "created": true, "updated": "2025-11-20T16:45:12.345Z", "archived": false},
			"get by customer number": "+1 312-555-0142",
			"search":                 object{"total": 1.0, "ids": []any{c.HubSpotID}, "name": "Amelia"},
			"pages of a search":      object{"whole": true, "pages": true},
			"all":                    object{"distinct": true, "many": true},
			"not found":              thrown([]any{404.0, "OBJECT_NOT_FOUND"}),
			"archived":               thrown([]any{404.0, "OBJECT_NOT_FOUND"}),
			"archived on demand":     true,
			"unknown property":       thrown([]any{400.0, "VALIDATION_ERROR"}),
			"wrong token":            thrown([]any{401.0, "EXPIRED_AUTHENTICATION"}),
			"after a limit":          c.HubSpotID,
		}, "GET /crm/v3/objects/contacts/" + c.HubSpotID},
		{square(), []string{"ACCOUNT=" + c.SquareID}, object{
			"search":        []any{account},
			"get":           account,
			"nothing found": "none",
			"pages":         object{"distinct": true, "count": float64(accounts), "many": true},
			"not found":     thrown([]any{404.0, "INVALID_REQUEST_ERROR", "NOT_FOUND"}),
			"bad phone":     thrown([]any{400.0, "INVALID_REQUEST_ERROR", "INVALID_PHONE_NUMBER"}),
			"bad version":   thrown([]any{400.0, "INVALID_REQUEST_ERROR", "INVALID_SQUARE_VERSION_FORMAT"}),
			"wrong token":   thrown([]any{401.0, "AUTHENTICATION_ERROR", "UNAUTHORIZED"}),
			"after a limit": 1250.0,
		}, "GET /v2/loyalty/accounts/" + c.SquareID},
	}
	for _, tt := range tests {
		t.Run(tt.server.Name(), func(t *testing.T) {
			got := runScript(t, modules, tt.server, tt.env)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the client saw (-want +got):\n%s", diff)
			}
			requests := tt.server.Requests()
			for _, r := range requests[max(0, len(requests)-2):] {
				if line := r.Method + " " + r.Target; !strings.HasPrefix(line, tt.last) {
					t.Errorf("after 429 the client sent %s, want %s again", line, tt.last)
				}
			}
			if left := tt.server.Faults().List(); len(left) != 0 {
				t.Errorf("the client met no 429: %v is left", left)
			}
		})
	}
}

// runScript serves the server and its control, and returns what the vendor's script prints.
func runScript(t *testing.T, modules string, s *sim.Server, env []string) object {
	t.Helper()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "scripts"), os.DirFS("testdata/clients")); err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(pem, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	origin, err := sim.Listen(s, ca, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	control, err := sim.Listen(sim.Control(s), ca, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()

	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "scripts", s.Name()+".mjs"))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+pem, "ORIGIN="+origin.URL(), "CONTROL="+control.URL(),
		"TOKEN="+token, "CLIENT_ID="+clientID, "CLIENT_SECRET="+clientSecret)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", s.Name(), err, stderr.Bytes())
	}
	var seen object
	if err := json.Unmarshal(stdout.Bytes(), &seen); err != nil {
		t.Fatalf("the script printed %q: %v\n%s", stdout.Bytes(), err, stderr.Bytes())
	}
	return seen
}

// installClients returns a node_modules folder with exactly what package-lock.json names. It is kept in the user's
// cache, under the digest of the lock file, and made only once.
func installClients(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the vendors' clients are not tried: no %s", program)
		}
	}
	lock, err := os.ReadFile("testdata/clients/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	sum := sha256.Sum256(lock)
	cache = filepath.Join(cache, "pointsman-sim-clients")
	done := filepath.Join(cache, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(done); err == nil {
		return filepath.Join(done, "node_modules")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(cache, "new-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join("testdata/clients", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if network(ctx, string(out)) {
			t.Skipf("the vendors' clients are not tried: npm cannot reach its registry: %v", err)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(dir, done); err != nil {
		if _, statErr := os.Stat(done); statErr != nil { // otherwise another test was faster
			t.Fatal(err)
		}
	}
	return filepath.Join(done, "node_modules")
}

// network tells whether npm failed for want of a registry rather than for what it was asked to install.
func network(ctx context.Context, out string) bool {
	if ctx.Err() != nil {
		return true
	}
	for _, code := range []string{"ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT", "network"} {
		if strings.Contains(out, code) {
			return true
		}
	}
	return false
}

// TestClientVersionsArePinned: the lock file names no registry, so that it works behind any mirror, and every package
// has its digest.
func TestClientVersionsArePinned(t *testing.T) {
	lock, err := os.ReadFile("testdata/clients/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal(lock, &parsed); err != nil {
		t.Fatal(err)
	}
	for name, p := range parsed.Packages {
		if name == "" {
			continue
		}
		if p.Resolved != "" || !strings.HasPrefix(p.Integrity, "sha512-") || p.Version == "" {
			t.Errorf("%s: %s", name, fmt.Sprintf("%+v", p))
		}
	}
	if len(parsed.Packages) < 50 || bytes.Contains(lock, []byte("registry")) {
		t.Errorf("%d packages, or a registry is named", len(parsed.Packages))
	}
}
