package manifest_test

import (
	"testing"
	"time"

	"pointsman/host/manifest"
)

func TestFaultText(t *testing.T) {
	tests := []struct {
		fault manifest.Fault
		want  string
	}{
		{manifest.Fault{Message: "no plugin", File: "a/b.yaml", Line: 3, Column: 7}, "a/b.yaml:3:7: no plugin"},
		{manifest.Fault{Message: "no plugin", File: "b.yaml", Line: 3, Column: 7, Suggestion: "crm"}, `b.yaml:3:7: no plugin (did you mean "crm"?)`},
		{manifest.Fault{Message: "too large", File: "b.yaml"}, "b.yaml: too large"},
		{manifest.Fault{Severity: manifest.SeverityWarning, Message: "idle", File: "b.yaml", Line: 1, Column: 2}, "b.yaml:1:2: warning: idle"},
	}
	for _, tt := range tests {
		if got := tt.fault.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestFaultsErr(t *testing.T) {
	warning := manifest.Fault{Severity: manifest.SeverityWarning, File: "a"}
	fault := manifest.Fault{Severity: manifest.SeverityError, File: "b", Message: "x"}
	tests := []struct {
		name   string
		faults manifest.Faults
		want   string
	}{
		{"none", nil, ""},
		{"warning", manifest.Faults{warning}, ""},
		{"zero severity", manifest.Faults{{File: "c", Message: "y"}}, "c: y"},
		{"both", manifest.Faults{warning, fault}, "a: warning: \nb: x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.faults.Err(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRate(t *testing.T) {
	tests := []struct {
		rate manifest.Rate
		text string
		per  float64
	}{
		{manifest.Rate{Count: 200, Per: time.Second}, "200/s", 200},
		{manifest.Rate{Count: 90, Per: time.Minute}, "90/m", 1.5},
		{manifest.Rate{Count: 7200, Per: time.Hour}, "7200/h", 2},
	}
	for _, tt := range tests {
		if tt.rate.String() != tt.text || tt.rate.PerSecond() != tt.per {
			t.Errorf("%s is %v a second, want %s and %v", tt.rate, tt.rate.PerSecond(), tt.text, tt.per)
		}
	}
}
