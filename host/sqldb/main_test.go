package sqldb_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go/log"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"TESTCONTAINERS_RYUK_DISABLED": "true",      // stopContainers does its work, and it would have to be pulled
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1", // what the certificates are for; a guess could be another's address
	} {
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, value) // it fails for no such name
		}
	}
	log.SetDefault(log.NewNoopLogger())
	code := m.Run()
	stopContainers()
	// toxiproxy, which only tests run, forgets its own when one side of a connection leaves.
	err := goleak.Find(
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // the engine's client in testcontainers
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		code = 1
	}
	os.Exit(code)
}
