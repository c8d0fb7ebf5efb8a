package audit

import (
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
)

// Uses calls each for every use that the log r holds, in order, and says whether its chain
// holds: as far as Report.Bad, what was read was written by the broker. A last line that is
// cut off is what a broker at work leaves; Report.Torn tells it. The error is r's own.
func Uses(r io.Reader, each func(at time.Time, u Use)) (Report, error) {
	return Records(r, each, func(time.Time, Control) {})
}

// Records is Uses, and calls control for every act of administration, in order with the uses.
func Records(r io.Reader, use func(at time.Time, u Use), control func(at time.Time, c Control)) (Report, error) {
	return walk(r, tip{}, false, func(line []byte, at time.Time) {
		var kind struct {
			Kind string `json:"kind"`
		}
		// The chain says that we wrote the line: of another kind it may have other types.
		if json.Unmarshal(line, &kind) != nil {
			return
		}
		switch kind.Kind {
		case "use":
			if u, ok := parseUse(line); ok {
				use(at, u)
			}
		case "control":
			var c struct {
				Actor  string            `json:"actor"`
				Action string            `json:"action"`
				Object string            `json:"object"`
				Detail map[string]string `json:"detail"`
			}
			if json.Unmarshal(line, &c) == nil {
				control(at, Control{c.Actor, c.Action, c.Object, c.Detail})
			}
		}
	})
}

func parseUse(line []byte) (Use, bool) {
	var l struct {
		Request    broker.RequestID   `json:"request"`
		Principal  broker.PrincipalID `json:"principal"`
		Release    uint64             `json:"release"`
		Route      string             `json:"route"`
		Step       string             `json:"step"`
		Plugin     string             `json:"plugin"`
		Function   string             `json:"function"`
		Capability string             `json:"capability"`
		Op         string             `json:"op"`
		Resource   string             `json:"resource"`
		Decision   Decision           `json:"decision"`
		Reason     string             `json:"reason"`
		Labels     string             `json:"labels"`
	}
	err := json.Unmarshal(line, &l)
	return Use{l.Request, l.Principal, l.Release, l.Route, l.Step, l.Plugin, l.Function, l.Capability, l.Op, l.Resource, l.Decision, l.Reason, l.Labels}, err == nil
}
