package main

import (
	"flag"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
)

var update = flag.Bool("update", false, "rewrite the exchange files in testdata")

func functions() map[string]pdk.Function {
	return map[string]pdk.Function{"get": pdk.Handler(Square{}.Get), "find": pdk.Handler(Square{}.Find)}
}

func TestExchanges(t *testing.T) {
	pdktest.Run(t, pdktest.Suite{Functions: functions(), Update: *update})
}
