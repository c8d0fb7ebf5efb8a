package rest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
	"pointsman/host/gateway"
	"pointsman/host/pipeline"
)

// rewrapPath is where a consumer trades pointers of an old epoch for those of the current
// one. No route can have it: the manifests' paths have no colon.
const rewrapPath = "/pointers:rewrap"

const (
	// maxRewrap is how many pointers one request may bring: a page of a list, with room.
	maxRewrap = 100
	// maxRewrapBody has room for so many of the longest (434 bytes) in JSON with white space.
	maxRewrapBody = 64 << 10
)

// takesBody reports whether a request of this method for this path may have a body.
func takesBody(method, path string) bool { return method == http.MethodPost && path == rewrapPath }

// rewrap answers {"pointers": [...]}: for each of the request's the one of the current
// epoch, or null for what is no pointer of this consumer's, whatever it is instead.
func rewrap(r *http.Request, release Release, p broker.Principal) (pipeline.Result, error) {
	asked, err := readRewrap(r)
	if err != nil {
		return pipeline.Result{}, err
	}
	answer := struct {
		Pointers []*string `json:"pointers"`
	}{make([]*string, len(asked))}
	for i, text := range asked {
		current, err := release.Rewrap(p, text)
		switch broker.KindOf(err) {
		case broker.NotFound:
		default:
			if err != nil {
				return pipeline.Result{}, err
			}
			answer.Pointers[i] = &current
		}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return pipeline.Result{}, err
	}
	return pipeline.Result{Answer: text, Complete: true}, nil
}

// readRewrap reads the body of a request to rewrapPath.
func readRewrap(r *http.Request) ([]string, error) {
	invalid := func(format string, args ...any) error {
		return &broker.Error{Kind: broker.Invalid, Detail: fmt.Sprintf(format, args...)}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, invalid("the Content-Type must be application/json")
	}
	if r.ContentLength > maxRewrapBody {
		return nil, &broker.Error{Kind: broker.TooLarge, Detail: "the body is larger than " + strconv.Itoa(maxRewrapBody) + " bytes"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRewrapBody+1))
	switch {
	case gateway.ReasonOf(err) != "":
		return nil, err
	case err != nil:
		return nil, &broker.Error{Kind: broker.Canceled, Err: err}
	case len(body) > maxRewrapBody:
		return nil, &broker.Error{Kind: broker.TooLarge, Detail: "the body is larger than " + strconv.Itoa(maxRewrapBody) + " bytes"}
	}
	var asked struct {
		Pointers *[]string `json:"pointers"`
	}
	if err := json.UnmarshalRead(bytes.NewReader(body), &asked, json.RejectUnknownMembers(true)); err != nil || asked.Pointers == nil {
		return nil, invalid(`the body must be {"pointers": [...]}, a list of texts`)
	}
	if n := len(*asked.Pointers); n == 0 || n > maxRewrap {
		return nil, invalid("%d pointers; 1 to %d can be traded at once", n, maxRewrap)
	}
	return *asked.Pointers, nil
}
