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
	return walk(r, tip{}, false, func(line []byte, at time.Time) {
		var l struct {
			Kind       string             `json:"kind"`
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
		// The chain says that we wrote the line: of another kind it may have other types.
		if json.Unmarshal(line, &l) != nil || l.Kind != "use" {
			return
		}
		each(at, Use{l.Request, l.Principal, l.Release, l.Route, l.Step, l.Plugin, l.Function, l.Capability, l.Op, l.Resource, l.Decision, l.Reason, l.Labels})
	})
}
