package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pointsman/cmd/backends/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunRefuses(t *testing.T) {
	tests := []struct{ name, args, want string }{
		{"argument", "now", `unexpected argument "now"`},
		{"certificate without key", "--cert x.pem", "go together"},
		{"CA beside a certificate", "--cert x --key y --ca-out z", "made on the spot"},
		{"no such certificate", "--cert nowhere --key nowhere", "no such file"},
		{"negative latency", "--latency -1s", "cannot be negative"},
		{"tokens of no life", "--salesforce-token-life 0s", "more than nothing"},
		{"no such address", "--salesforce 127.0.0.1:0 --hubspot 127.0.0.1:99999", "hubspot: listen"},
		{"CA into no folder", "--ca-out /nowhere/at/all.pem", "write CA certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(t.Context(), strings.Fields(tt.args), &out, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if out.Len() > 0 {
				t.Errorf("printed %s", out.String())
			}
		})
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	caFile := filepath.Join(dir, "ca.pem")
	origins, client, stop := start(t, caFile, "--ca-out", caFile, "--customers", "60", "--latency", "1ms")
	defer stop()
	get := func(url, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	tests := []struct{ name, path, token, want string }{
		{"salesforce", "/services/data/v62.0/sobjects/Contact/Customer_Number__c/C-100042?fields=Name", "sim-salesforce-token", "Amelia Hart"},
		{"hubspot", "/crm/v3/objects/contacts/C-100042?idProperty=customer_number", "sim-hubspot-token", "amelia.hart@example.com"},
		{"square", "/v2/loyalty/accounts/none", "sim-square-token", "NOT_FOUND"},
		{"control", "/", "", `["salesforce","hubspot","square"]`},
		{"control", "/square/faults", "", `[{"latency":"1ms"}]`},
	}
	for _, tt := range tests {
		if _, body := get(origins[tt.name]+tt.path, tt.token); !strings.Contains(body, tt.want) {
			t.Errorf("%s%s: %s, want %s", tt.name, tt.path, body, tt.want)
		}
	}
	if status, _ := get(origins["hubspot"]+"/crm/v3/objects/contacts", "sim-salesforce-token"); status != 401 {
		t.Errorf("another vendor's token answers %d", status)
	}
}

func TestRunWithOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, err := sim.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf("crm.example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caFile := write("ca.pem", ca.PEM())
	cert := write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	keyFile := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	origins, client, stop := start(t, caFile, "--cert", cert, "--key", keyFile, "--control", "")
	defer stop()
	resp, err := client.Get(origins["square"])
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if origins["control"] != "" || resp.StatusCode != 401 {
		t.Errorf("origins %v, status %d", origins, resp.StatusCode)
	}
}

// start runs the command on free ports and returns its origins, a client that trusts the CA in the file, and what ends it.
func start(t *testing.T, caFile string, args ...string) (map[string]string, *http.Client, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		args = append([]string{"--salesforce", "127.0.0.1:0", "--hubspot", "127.0.0.1:0", "--square", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...)
		err := run(ctx, args, writer, io.Discard)
		writer.CloseWithError(io.EOF)
		done <- err
	}()
	origins := map[string]string{}
	lines := bufio.NewReader(reader)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the command ended: %v", <-done)
		}
		name, origin, _ := strings.Cut(strings.TrimSpace(line), " ")
		origins[name] = origin
		if lines.Buffered() == 0 {
			break
		}
	}
	pool := x509.NewCertPool()
	content, err := os.ReadFile(caFile)
	if err != nil || !pool.AppendCertsFromPEM(content) {
		t.Fatalf("CA file: %v", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return origins, &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}
