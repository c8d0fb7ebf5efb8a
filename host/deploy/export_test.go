package deploy

import (
	"time"

	"pointsman/host/admission"
	"pointsman/host/capability/callcap"
)

// Judge shows judge.
func Judge(err error, took, waited, limit time.Duration) admission.Verdict {
	return judge(err, took, waited, limit)
}

// NewReleaseOf returns a release with these routes, each a method and a path template, and
// nothing else: enough for Match. The name of a route is its endpoint.
func NewReleaseOf(endpoints [][2]string) *Release {
	r := new(Release)
	for _, e := range endpoints {
		r.routes.add(&Route{release: r, name: e[0] + " " + e[1], method: e[0], template: e[1]})
	}
	return r
}

// Calls is what runs the functions of r's plugins for each other.
func Calls(r *Release) callcap.Callee { return calls{r} }
