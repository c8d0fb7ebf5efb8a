package main

import (
	"flag"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
)

var update = flag.Bool("update", false, "rewrite the exchange files in testdata")

func functions() map[string]pdk.Function {
	return map[string]pdk.Function{"get": pdk.Handler(Store{}.Get)}
}

func TestExchanges(t *testing.T) {
	pdktest.Run(t, pdktest.Suite{Functions: functions(), Update: *update})
}

// What every call's sandbox starts from: a rehearsal that fails only costs time, so nobody
// but this would see it.
func TestRehearsal(t *testing.T) {
	if err := rehearse(); err != nil {
		t.Error(err)
	}
}
